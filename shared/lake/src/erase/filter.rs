//! Records without what an erasure takes.

use std::borrow::Cow;

use weir_model::{Batch, Exemplar, Record};

use super::{Erased, Erasure};

/// The record without what the erasures take of it, and how much that was; borrowed when it stays as it is.
pub(crate) fn without<'a, 'e>(
    record: &'a Record,
    erasures: impl Iterator<Item = &'e Erasure>,
) -> (Cow<'a, Record>, Erased) {
    let (mut kept, mut gone) = (Cow::Borrowed(record), Erased::default());
    for erasure in erasures.filter(|erasure| erasure.tenant == record.tenant) {
        if let Some((batch, more)) = filtered(&kept, erasure) {
            gone.add(&more);
            kept = Cow::Owned(Record { tenant: record.tenant.clone(), batch, ..*record });
        }
    }
    (kept, gone)
}

/// The batch that an erasure leaves; `None` when it takes nothing.
fn filtered(record: &Record, erasure: &Erasure) -> Option<(Batch, Erased)> {
    let batch = &record.batch;
    let takes = |timestamp_ms| erasure.takes(record.received_ms, timestamp_ms);
    // Labels are hashed only where a sample is old enough, which for most records none is.
    let mut old = vec![false; batch.series().len()];
    let times = batch.floats.iter().map(|s| (s.series, s.timestamp_ms));
    let times = times.chain(batch.histograms.iter().map(|s| (s.series, s.timestamp_ms)));
    let times = times.chain(batch.sets.iter().map(|s| (s.series, s.timestamp_ms)));
    let times = times.chain(batch.exemplars.iter().map(|e| (e.series, e.timestamp_ms)));
    times.filter(|(_, at)| takes(*at)).for_each(|(series, _)| old[series as usize] = true);
    // Series without samples are of before the request when their record is.
    let whole = record.received_ms <= erasure.stored.requested_ms;
    let matched: Vec<bool> = (0..batch.series().len())
        .map(|place| (whole || old[place]) && erasure.matches(batch.labels_at(place as u32)))
        .collect();
    let goes = |family: &str| whole && erasure.matches_family(family);
    let families = batch.metadata.iter().any(|known| goes(&known.family));
    let stays = |series: u32, timestamp_ms| !(matched[series as usize] && takes(timestamp_ms));
    let exemplar_stays = |e: &Exemplar| {
        let matches = |e: &Exemplar| erasure.matches_exemplar(batch.labels_at(e.series), e.labels.borrowed());
        stays(e.series, e.timestamp_ms) && !(takes(e.timestamp_ms) && matches(e))
    };
    if !matched.contains(&true) && !families && batch.exemplars.iter().all(exemplar_stays) {
        return None;
    }
    let mut used = vec![false; matched.len()];
    let mut left = Batch::new();
    left.floats.extend(batch.floats.iter().filter(|s| stays(s.series, s.timestamp_ms)).copied());
    left.histograms.extend(batch.histograms.iter().filter(|s| stays(s.series, s.timestamp_ms)).cloned());
    left.sets.extend(batch.sets.iter().filter(|s| stays(s.series, s.timestamp_ms)).cloned());
    left.exemplars.extend(batch.exemplars.iter().filter(|e| exemplar_stays(e)).cloned());
    left.metadata.extend(batch.metadata.iter().filter(|m| !goes(&m.family)).cloned());
    let places = left.floats.iter().map(|s| s.series).chain(left.histograms.iter().map(|s| s.series));
    let places = places.chain(left.sets.iter().map(|s| s.series));
    let places: Vec<u32> = places.chain(left.exemplars.iter().map(|e| e.series)).collect();
    places.into_iter().for_each(|series| used[series as usize] = true);
    let mut moved = vec![0; matched.len()];
    for (place, series) in batch.series().iter().enumerate() {
        if used[place] || !matched[place] {
            moved[place] = left.push_series(batch.labels(series), series.kind, series.temporality);
        }
    }
    left.floats.iter_mut().for_each(|s| s.series = moved[s.series as usize]);
    left.histograms.iter_mut().for_each(|s| s.series = moved[s.series as usize]);
    left.sets.iter_mut().for_each(|s| s.series = moved[s.series as usize]);
    left.exemplars.iter_mut().for_each(|e| e.series = moved[e.series as usize]);
    let gone = Erased {
        samples: (batch.sample_count() - left.sample_count()) as u64,
        exemplars: (batch.exemplars.len() - left.exemplars.len()) as u64,
        ..Erased::default()
    };
    let changed = left.series().len() < batch.series().len()
        || gone != Erased::default()
        || left.metadata.len() < batch.metadata.len();
    changed.then_some((left, gone))
}

#[cfg(test)]
mod tests {
    use weir_model::{FloatSample, Labels, Matcher, MetricKind, Temporality, TenantId};

    use super::super::tests::erasure;
    use super::*;

    #[test]
    fn what_was_received_or_is_dated_before_the_request_goes_and_the_rest_stays() {
        let erasure = erasure(&[Matcher::equal("user", "ann")]);
        // Arrival, timestamps, and those of them that stay of the matching series.
        type Row<'a> = (i64, &'a [i64], &'a [i64]);
        let rows: &[Row<'_>] = &[
            (900, &[800, 2_000], &[]),
            (1_001, &[999, 1_000, 1_001], &[1_001]),
            (1_001, &[5_000], &[5_000]),
        ];
        for (received_ms, times, want) in rows {
            let mut batch = Batch::new();
            for user in ["bob", "ann"] {
                let labels = Labels::from_pairs([("__name__", "m"), ("user", user)]);
                let series = batch.push_series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
                for &timestamp_ms in *times {
                    batch.floats.push(FloatSample { series, timestamp_ms, value: 1.0 });
                    let labels = Labels::empty();
                    batch.exemplars.push(Exemplar { series, timestamp_ms, value: 1.0, labels });
                }
            }
            let (tenant, received_ms) = (TenantId::default(), *received_ms);
            let record = Record { tenant, key: None, received_ms, batch };
            let (left, gone) = without(&record, [&erasure].into_iter());
            let of = |user: &str| -> Vec<i64> {
                let batch = &left.batch;
                let is = |series: u32| batch.labels_at(series).get("user") == Some(user);
                let exemplars = batch.exemplars.iter().filter(|e| is(e.series)).map(|e| e.timestamp_ms);
                let floats: Vec<_> =
                    batch.floats.iter().filter(|s| is(s.series)).map(|s| s.timestamp_ms).collect();
                assert!(exemplars.eq(floats.iter().copied()));
                floats
            };
            assert_eq!((of("bob"), of("ann")), (times.to_vec(), want.to_vec()));
            assert_eq!(gone.samples, (times.len() - want.len()) as u64);
            assert_eq!(left.batch.series().len(), if want.is_empty() { 1 } else { 2 });
            assert_eq!(matches!(left, Cow::Borrowed(_)), gone.samples == 0);
        }
        let other = Record {
            tenant: TenantId::new("other").unwrap(),
            key: None,
            received_ms: 1,
            batch: Batch::new(),
        };
        assert!(matches!(without(&other, [&erasure].into_iter()).0, Cow::Borrowed(_)));
    }

    #[test]
    fn an_exemplar_goes_by_its_own_labels_and_leaves_its_series_and_samples() {
        let erasure = erasure(&[Matcher::equal("user", "ann"), Matcher::equal("job", "api")]);
        // The series' labels, the exemplar's own, arrival and timestamp, whether the exemplar stays.
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        let rows: &[(Pairs<'_>, Pairs<'_>, i64, i64, bool)] = &[
            (&[("job", "api")], &[("user", "ann"), ("trace_id", "t")], 900, 900, false),
            (&[("job", "api"), ("user", "bob")], &[("user", "ann")], 900, 900, false),
            (&[], &[("user", "ann"), ("job", "api")], 900, 900, false),
            (&[("job", "api")], &[("user", "ann")], 2_000, 900, false),
            (&[("job", "api")], &[("user", "ann")], 2_000, 2_000, true),
            (&[("job", "db")], &[("user", "ann")], 900, 900, true),
            (&[("job", "api")], &[("user", "bob")], 900, 900, true),
            (&[("job", "api")], &[], 900, 900, true),
        ];
        for (place, (of, own, received_ms, timestamp_ms, stays)) in rows.iter().enumerate() {
            let (received_ms, timestamp_ms) = (*received_ms, *timestamp_ms);
            let mut batch = Batch::new();
            let labels = Labels::from_pairs([("__name__", "m")].iter().chain(of.iter()).copied());
            let series = batch.push_series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
            batch.floats.push(FloatSample { series, timestamp_ms, value: 1.0 });
            let labels = Labels::from_pairs(own.iter().copied());
            batch.exemplars.push(Exemplar { series, timestamp_ms, value: 1.0, labels });
            let record = Record { tenant: TenantId::default(), key: None, received_ms, batch };
            let (left, gone) = without(&record, [&erasure].into_iter());
            assert_eq!((left.batch.series().len(), left.batch.sample_count()), (1, 1), "row {place}");
            assert_eq!(left.batch.exemplars.len(), usize::from(*stays), "row {place}");
            assert_eq!((gone.samples, gone.exemplars), (0, u64::from(!stays)), "row {place}");
            assert_eq!(matches!(left, Cow::Borrowed(_)), *stays, "row {place}");
        }
    }
}
