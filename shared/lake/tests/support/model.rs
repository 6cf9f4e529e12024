//! The model: the records that count, folded into maps; and the comparison of a lake with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use weir_lake::{Lake, LakeOptions, Selection, StoredExemplar};
use weir_model::{Labels, MatchOp, Matcher, RecordKey, Samples, Temporality};
use weir_platform::{SequenceNumber, ShardId};

use super::Random;
use super::stream::{BASE_MS, SHARDS, TENANTS, TestStream, tenant};

/// A value at a timestamp.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Bits, since the staleness marker is unlike itself.
    Float(u64),
    Histogram(f64),
    Set(BTreeSet<u8>),
}

type Series = BTreeMap<i64, Value>;
/// Timestamp, value and own labels of an exemplar.
type Example = (i64, u64, Labels);
/// By hour.
type Examples = BTreeMap<i64, BTreeSet<Example>>;

/// What a lake holds, by tenant.
#[derive(Default)]
pub(crate) struct Model {
    /// By labels and temporality.
    series: BTreeMap<&'static str, BTreeMap<(Labels, bool), Series>>,
    /// By labels and temporality of their series.
    exemplars: BTreeMap<&'static str, BTreeMap<(Labels, bool), Examples>>,
}

/// What the lake must hold once it covers each shard up to `covered`.
pub(crate) fn of_stream(
    stream: &TestStream,
    covered: [Option<SequenceNumber>; SHARDS],
    options: &LakeOptions,
) -> Model {
    let window_ms = options.retry_window_ms;
    let mut model = Model::default();
    for (shard, covered) in stream.shards.iter().zip(covered) {
        let mut seen: HashMap<RecordKey, i64> = HashMap::new();
        for (_, record) in shard.iter().filter(|(sequence, _)| Some(*sequence) <= covered) {
            if let Some(key) = record.key {
                if seen.get(&key).is_some_and(|at| record.received_ms - at <= window_ms) {
                    continue;
                }
                seen.insert(key, record.received_ms);
            }
            let name = TENANTS.into_iter().find(|n| *n == record.tenant.as_str()).unwrap();
            let batch = &record.batch;
            let key_of = |place: u32| {
                let delta = batch.series()[place as usize].temporality == Temporality::Delta;
                (batch.labels_at(place).to_labels(), delta)
            };
            let exemplars = model.exemplars.entry(name).or_default();
            for e in &batch.exemplars {
                let hours = exemplars.entry(key_of(e.series)).or_default();
                let hour = hours.entry(e.timestamp_ms.div_euclid(3_600_000)).or_default();
                hour.insert((e.timestamp_ms, e.value.to_bits(), e.labels.clone()));
                if hour.len() > options.max_exemplars_per_series {
                    hour.pop_first();
                }
            }
            let series = model.series.entry(name).or_default();
            let mut put = |place: u32, at: i64, value: Value| {
                let (labels, delta) = key_of(place);
                let series = series.entry((labels, delta)).or_default();
                let value = match series.remove(&at) {
                    None => value,
                    Some(before) => combine(before, value, delta),
                };
                series.insert(at, value);
            };
            batch.floats.iter().for_each(|s| put(s.series, s.timestamp_ms, Value::Float(s.value.to_bits())));
            for s in &batch.histograms {
                put(s.series, s.timestamp_ms, Value::Histogram(s.histogram.count));
            }
            for s in &batch.sets {
                // The one member of a generated set is found by asking for each.
                let is_member = |member: &u8| {
                    let mut one = weir_model::UniqueSet::new();
                    one.insert(&[*member]);
                    one == *s.set
                };
                put(s.series, s.timestamp_ms, Value::Set((0..20).filter(is_member).collect()));
            }
        }
    }
    model
}

fn combine(a: Value, b: Value, delta: bool) -> Value {
    match (a, b) {
        (Value::Set(mut a), Value::Set(b)) => {
            a.extend(b);
            Value::Set(a)
        }
        (set @ Value::Set(_), _) | (_, set @ Value::Set(_)) => set,
        (_, b) if !delta => b,
        (Value::Float(a), Value::Float(b)) => Value::Float((f64::from_bits(a) + f64::from_bits(b)).to_bits()),
        (Value::Histogram(a), Value::Histogram(b)) => Value::Histogram(a + b),
        (h @ Value::Histogram(_), _) | (_, h @ Value::Histogram(_)) => h,
    }
}

/// What a lake answers, in the form of the model; sets by their count.
pub(crate) async fn answers(
    lake: &Arc<Lake>,
    name: &str,
    selection: &Selection,
) -> BTreeMap<(Labels, bool), Series> {
    let selected = lake.select(&tenant(name), selection).await.expect("select");
    assert!(
        selected.series().is_sorted_by_key(|s| (s.labels.clone(), s.temporality == Temporality::Delta)),
        "series are in order"
    );
    let mut reader = selected.reader();
    let mut samples = Samples::default();
    let mut found = BTreeMap::new();
    for (index, info) in selected.series().iter().enumerate() {
        reader.read(index, &mut samples).expect("read");
        let mut series = Series::new();
        assert!(samples.timestamps.is_sorted_by(|a, b| a < b));
        for (at, value) in samples.timestamps.iter().zip(&samples.values) {
            series.insert(*at, Value::Float(value.to_bits()));
        }
        for (at, histogram) in &samples.histograms {
            assert!(series.insert(*at, Value::Histogram(histogram.count)).is_none());
        }
        for (at, set) in &samples.sets {
            let members = (0..set.count() as u8).collect();
            assert!(series.insert(*at, Value::Set(members)).is_none());
        }
        let again = found.insert((info.labels.clone(), info.temporality == Temporality::Delta), series);
        assert!(again.is_none(), "{} appears once", info.labels);
    }
    found
}

/// The part of the model that a selection asks for; sets as [`answers`] shows them.
fn expected(model: &Model, name: &str, selection: &Selection) -> BTreeMap<(Labels, bool), Series> {
    let mut wanted = BTreeMap::new();
    for (key, series) in model.series.get(name).into_iter().flatten() {
        if !selection.matchers.iter().all(|m| m.matches(key.0.get(m.name()).unwrap_or(""))) {
            continue;
        }
        let within = series.range(selection.start_ms..=selection.end_ms);
        let shown = within.map(|(at, value)| match value {
            Value::Set(members) => (*at, Value::Set((0..members.len() as u8).collect())),
            other => (*at, other.clone()),
        });
        wanted.insert(key.clone(), shown.collect::<Series>());
    }
    wanted
}

/// Asserts that the lake answers as the model does, for everything and for random parts.
pub(crate) async fn check(lake: &Arc<Lake>, model: &Model, random: &mut Random, context: &str) {
    let everything = Selection {
        matchers: vec![Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()],
        start_ms: i64::MIN,
        end_ms: i64::MAX,
        max_series: 1_000,
        bypass_cache: random.chance(30),
    };
    let mut selections = vec![everything];
    for _ in 0..2 {
        let start_ms = BASE_MS + random.below(10_800_000) as i64 - 1_000;
        let matcher = match random.below(4) {
            0 => Matcher::equal("instance", "i1"),
            1 => Matcher::new("instance", MatchOp::NotEqual, "i1").unwrap(),
            2 => Matcher::new("__name__", MatchOp::Regex, "metric_[01]").unwrap(),
            _ => Matcher::new("shard", MatchOp::NotRegex, "0").unwrap(),
        };
        selections.push(Selection {
            matchers: vec![matcher],
            start_ms,
            end_ms: start_ms + random.below(7_200_000) as i64,
            max_series: 1_000,
            bypass_cache: random.chance(30),
        });
    }
    for name in TENANTS {
        for selection in &selections {
            let (mut found, mut wanted) =
                (answers(lake, name, selection).await, expected(model, name, selection));
            // A series may be listed though nothing of it lies in the range.
            found.retain(|_, series| !series.is_empty());
            wanted.retain(|_, series| !series.is_empty());
            let keys: BTreeSet<_> = found.keys().chain(wanted.keys()).cloned().collect();
            for key in keys {
                let (found, wanted) = (found.remove(&key), wanted.remove(&key));
                let (found, wanted) = (found.unwrap_or_default(), wanted.unwrap_or_default());
                let differ = |(at, value): &(&i64, &Value)| wanted.get(at) != Some(value);
                let wrong: Vec<_> = found.iter().filter(differ).collect();
                let missing: Vec<_> =
                    wanted.iter().filter(|(at, value)| found.get(at) != Some(value)).collect();
                assert!(
                    found == wanted,
                    "{context}: tenant {name}, {selection:?}: {key:?} has {wrong:?} instead of {missing:?}"
                );
            }
        }
        // Now and then: it reads their objects each time.
        for selection in selections.iter().take(2).filter(|_| random.chance(30)) {
            check_exemplars(lake, model, name, selection, context).await;
        }
        let labels: Vec<Labels> = lake.series(&tenant(name), &[], i64::MIN, i64::MAX, 1_000).await.unwrap();
        let mut wanted: Vec<Labels> =
            model.series.get(name).into_iter().flatten().map(|((labels, _), _)| labels.clone()).collect();
        wanted.dedup();
        assert_eq!(labels, wanted, "{context}: series of tenant {name}");
    }
}

async fn check_exemplars(lake: &Arc<Lake>, model: &Model, name: &str, selection: &Selection, context: &str) {
    let Selection { matchers, start_ms, end_ms, .. } = selection;
    let any_of = std::slice::from_ref(matchers);
    let found = lake.exemplars(&tenant(name), any_of, *start_ms, *end_ms, 10_000).await.expect("exemplars");
    assert!(found.is_sorted_by(|a, b| a.labels < b.labels), "{context}: series are in order");
    let found = found.into_iter().map(|series| {
        let example = |e: StoredExemplar| (e.timestamp_ms, e.value.to_bits(), e.labels);
        (series.labels, series.exemplars.into_iter().map(example).collect::<Vec<_>>())
    });
    let mut wanted: BTreeMap<Labels, BTreeSet<Example>> = BTreeMap::new();
    for ((labels, _), hours) in model.exemplars.get(name).into_iter().flatten() {
        let passes = |m: &Matcher| m.matches(labels.get(m.name()).unwrap_or(""));
        if matchers.iter().all(passes) {
            let within = hours.values().flatten().filter(|e| (*start_ms..=*end_ms).contains(&e.0));
            wanted.entry(labels.clone()).or_default().extend(within.cloned());
        }
    }
    let wanted = wanted.into_iter().filter(|(_, exemplars)| !exemplars.is_empty());
    assert_eq!(
        found.collect::<Vec<_>>(),
        wanted.map(|(labels, exemplars)| (labels, exemplars.into_iter().collect())).collect::<Vec<_>>(),
        "{context}: exemplars of tenant {name}, {selection:?}"
    );
}

/// How far a lake says that it covers the shards.
pub(crate) fn covered(lake: &Lake) -> [Option<SequenceNumber>; SHARDS] {
    std::array::from_fn(|shard| lake.covered_through(ShardId(shard as u32)))
}
