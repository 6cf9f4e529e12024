//! `weir backfill`: blocks of a Prometheus TSDB to a running Weir.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_formats::tsdb::{BlockMeta, Index, Segment, SeriesEntry, Tombstones};
use weir_model::{MetricKind, Samples};
use xxhash_rust::xxh3::xxh3_128;

use super::client::{Client, Post};
use super::pool::{Job, report, run};
use super::{Server, bar};
use crate::banner;

/// Samples after which a request ends.
const BODY_SAMPLES: usize = 10_000;
/// Time that is sent at once over all series: what belongs together in the lake arrives together.
const WINDOW_MS: i64 = 3_600_000;
/// Most segment files of a block.
const MAX_SEGMENTS: usize = 10_000;
/// Most blocks of a folder.
const MAX_BLOCKS: usize = 100_000;

/// Settings of `weir backfill`.
#[derive(Debug, Args)]
pub(crate) struct Backfill {
    #[command(flatten)]
    server: Server,

    /// Folders: Prometheus blocks, or a data or snapshot folder that holds blocks. (What Prometheus still has
    /// in its head is not in a block: take a snapshot by its admin API.)
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
}

/// Runs `weir backfill`.
pub(crate) fn backfill(backfill: &Backfill) -> Result<()> {
    let client = Client::new(&backfill.server)?;
    let mut blocks = Vec::new();
    for folder in &backfill.folders {
        find_blocks(folder, &mut blocks)?;
    }
    // In order of time, so that the lake writes each hour once.
    blocks.sort_by_key(|(_, meta)| (meta.min_time, meta.ulid.clone()));
    let samples: u64 = blocks.iter().map(|(_, meta)| meta.stats.num_samples).sum();
    let bar = bar(Some(samples), "samples");
    let style =
        indicatif::ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
    for (place, (folder, meta)) in blocks.iter().enumerate() {
        bar.set_message(format!("block {}/{} {}", place + 1, blocks.len(), meta.ulid));
        let outcome = run(&client, &bar, |send| send_block(folder, meta, send))
            .with_context(|| folder.display().to_string())?;
        report(&outcome).with_context(|| folder.display().to_string())?;
    }
    bar.finish_and_clear();
    banner::say(&format!("{samples} samples of {} blocks are in", blocks.len()));
    Ok(())
}

/// A block itself, or the blocks that a folder holds.
fn find_blocks(folder: &Path, blocks: &mut Vec<(PathBuf, BlockMeta)>) -> Result<()> {
    let meta = |folder: &Path| -> Result<Option<BlockMeta>> {
        let path = folder.join("meta.json");
        if !path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let meta: BlockMeta =
            serde_json::from_slice(&bytes).with_context(|| format!("{} is no block's", path.display()))?;
        if meta.version != 1 {
            bail!("{}: block version {} is not known, only 1", path.display(), meta.version);
        }
        Ok(Some(meta))
    };
    if let Some(found) = meta(folder)? {
        blocks.push((folder.to_owned(), found));
        return Ok(());
    }
    let before = blocks.len();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries.take(MAX_BLOCKS) {
        let path = entry?.path();
        if let Some(found) = meta(&path)? {
            blocks.push((path, found));
        }
    }
    if blocks.len() == before {
        bail!("{} is no Prometheus block and holds none (a block has a meta.json)", folder.display());
    }
    Ok(())
}

/// The files of a block.
struct Files {
    index: Vec<u8>,
    segments: Vec<Vec<u8>>,
    tombstones: Tombstones,
}

impl Files {
    fn read(folder: &Path) -> Result<Self> {
        let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let mut segments = Vec::new();
        for number in 1..=MAX_SEGMENTS {
            let path = folder.join("chunks").join(format!("{number:06}"));
            if !path.exists() {
                break;
            }
            segments.push(read(&path)?);
        }
        let tombstones = folder.join("tombstones");
        let tombstones = if tombstones.exists() {
            let path = tombstones.display().to_string();
            Tombstones::open(&read(&tombstones)?).with_context(|| path)?
        } else {
            Tombstones::default()
        };
        Ok(Self { index: read(&folder.join("index"))?, segments, tombstones })
    }
}

fn send_block(folder: &Path, meta: &BlockMeta, send: &mut dyn FnMut(Job) -> Result<()>) -> Result<()> {
    let files = Files::read(folder)?;
    let index = Index::open(&files.index).context("index")?;
    let segments: Vec<Segment<'_>> = files
        .segments
        .iter()
        .map(|bytes| Segment::open(bytes))
        .collect::<Result<_, _>>()
        .context("chunks")?;
    let series: Vec<SeriesEntry> = index.series().collect::<Result<_, _>>().context("index")?;
    let mut request = Request { ulid: &meta.ulid, series: Vec::new(), samples: 0, sent: 0 };
    let mut samples = Samples::default();
    let mut from = meta.min_time.div_euclid(WINDOW_MS).saturating_mul(WINDOW_MS);
    while from < meta.max_time {
        let to = from.saturating_add(WINDOW_MS);
        for entry in &series {
            samples.clear();
            for chunk in entry.chunks.iter().filter(|chunk| chunk.min_ms < to && chunk.max_ms >= from) {
                let segment = segments.get(chunk.segment as usize).with_context(|| {
                    format!("{} names segment {}, which is not there", entry.labels, chunk.segment + 1)
                })?;
                let read = segment.chunk(chunk.offset).and_then(|chunk| chunk.read(&mut samples));
                read.with_context(|| format!("chunk {} of {}", chunk.offset, entry.labels))?;
            }
            let wanted = |at: i64| (from..to).contains(&at) && !files.tombstones.covers(entry.reference, at);
            if let Some(one) = time_series(entry, &samples, wanted) {
                request.push(one, send)?;
            }
        }
        from = to;
    }
    request.flush(send)
}

/// The wanted samples of a series as remote write has them; `None` without any.
fn time_series(entry: &SeriesEntry, samples: &Samples, wanted: impl Fn(i64) -> bool) -> Option<TimeSeries> {
    let floats = samples.timestamps.iter().copied().zip(samples.values.iter().copied());
    let floats: Vec<_> = floats.filter(|(at, _)| wanted(*at)).collect();
    let histograms = samples.histograms.iter().filter(|(at, _)| wanted(*at));
    let histograms: Vec<_> = histograms.map(|(at, histogram)| (*at, (**histogram).clone())).collect();
    if floats.is_empty() && histograms.is_empty() {
        return None;
    }
    Some(TimeSeries {
        labels: entry.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        samples: floats,
        histograms,
        kind: MetricKind::Unknown,
        ..TimeSeries::default()
    })
}

/// A remote-write request in the making.
struct Request<'a> {
    ulid: &'a str,
    series: Vec<TimeSeries>,
    samples: usize,
    sent: u64,
}

impl Request<'_> {
    fn push(&mut self, series: TimeSeries, send: &mut dyn FnMut(Job) -> Result<()>) -> Result<()> {
        self.samples += series.samples.len() + series.histograms.len();
        self.series.push(series);
        if self.samples >= BODY_SAMPLES { self.flush(send) } else { Ok(()) }
    }

    fn flush(&mut self, send: &mut dyn FnMut(Job) -> Result<()>) -> Result<()> {
        if self.series.is_empty() {
            return Ok(());
        }
        let plain = encode::v1(&self.series, &[]);
        let key = format!("backfill-{}-{}-{:032x}", self.ulid, self.sent, xxh3_128(&plain));
        let body = snap::raw::Encoder::new().compress_vec(&plain)?;
        let post = Post {
            path: "/api/v1/write".to_owned(),
            content_type: "application/x-protobuf",
            encoding: "snappy",
            key,
            body,
        };
        let progress = self.samples as u64;
        self.series.clear();
        self.samples = 0;
        self.sent += 1;
        send(Job { post, progress })
    }
}
