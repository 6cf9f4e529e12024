//! Reads every object of a bucket, whatever it is, and tells which hold a text: the proof of an erasure.

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use weir_model::Record;
use weir_platform::Bucket;

/// Keys of all objects that hold the text, as bytes or in what they decode to.
pub(crate) async fn holders(bucket: &dyn Bucket, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for object in bucket.list("", None, usize::MAX).await.unwrap() {
        let bytes = bucket.get(&object.key).await.unwrap();
        let raw = bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let decoded = match object.key.rsplit_once('.').map(|(_, extension)| extension) {
            Some("parquet") => in_parquet(bytes, text),
            Some("seg") => payloads(&bytes).into_iter().any(|payload| in_record(payload, text)),
            Some("bin") => in_record(&bytes, text),
            _ => false,
        };
        if raw || decoded {
            found.push(object.key);
        }
    }
    found
}

fn in_parquet(bytes: Bytes, text: &str) -> bool {
    let reader = SerializedFileReader::new(bytes).unwrap();
    reader.get_row_iter(None).unwrap().any(|row| {
        // Bytes columns (label sets) are shown as numbers, so they are put together again.
        let row = row.unwrap();
        row.get_column_iter().any(|(_, field)| match field {
            parquet::record::Field::Bytes(bytes) => {
                bytes.data().windows(text.len()).any(|window| window == text.as_bytes())
            }
            other => other.to_string().contains(text),
        })
    })
}

fn in_record(payload: &[u8], text: &str) -> bool {
    let Ok(record) = Record::decode(payload) else { return false };
    let series = record.batch.series().iter().any(|s| {
        record.batch.labels(s).iter().any(|(name, value)| name.contains(text) || value.contains(text))
    });
    let own = |exemplar: &weir_model::Exemplar| exemplar.labels.iter().any(|(_, value)| value.contains(text));
    series
        || record.batch.exemplars.iter().any(own)
        || record.batch.metadata.iter().any(|m| m.family.contains(text) || m.help.contains(text))
}

/// The payloads of a segment, by its documented layout.
fn payloads(bytes: &[u8]) -> Vec<&[u8]> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let count = number(4 + 1 + 4 + 64);
    let mut at = 4 + 1 + 4 + 64 + 4 + 8;
    let mut payloads = Vec::new();
    for _ in 0..count {
        at += 32 + 8;
        at += if bytes[at] == 1 { 17 } else { 1 };
        let length = number(at) as usize;
        payloads.push(&bytes[at + 4..at + 4 + length]);
        at += 4 + length;
    }
    assert_eq!(at + 8, bytes.len(), "the layout is as documented");
    payloads
}
