//! StatsD and DogStatsD lines: `name:value|type|@rate|#tags`.
//!
//! - `c` is a delta counter, scaled up by the sample rate; `g` a gauge, relative when its value has a
//!   sign (`+3`, `-3`; with a `|T` timestamp, which only DogStatsD has, a sign is just a sign);
//!   `ms`, `h` and `d` observations of a distribution, which becomes a native histogram of the change;
//!   `s` a set of unique members.
//! - Values may be packed (`1:2:3`), except of sets. `|T<seconds>` is the sample's own time.
//!   `|c:`, `|e:` and `|card:` (container, external data, cardinality) are passed by: a label per
//!   container would make a series per container.
//! - Names and tags follow the rule of Prometheus names: what is no letter, digit or underscore
//!   becomes an underscore. So plain StatsD names that carry tags in them stay one name. A tag without
//!   value gets the value `true`, as Telegraf has it; of a tag that stands twice the last one counts.
//! - Events (`_e{`) and service checks (`_sc|`) are counted as ignored; blank lines and lines that
//!   start with `#` are comments.
//!
//! Within one body the values of a series at one time are put together, so a packet of a hundred
//! timings of one name is one sample. Timings keep their unit, milliseconds.

mod gauges;
mod line;

use std::collections::HashMap;

use bumpalo::Bump;
use memchr::memchr;
use weir_model::{DistributionBuilder, METRIC_NAME, MetricKind, SeriesId, Temporality, UniqueSet};

pub use gauges::{GaugeMemory, GaugeTable, NoGaugeMemory};

use crate::canonical;
use crate::limits::Limits;
use crate::names;
use crate::number;
use crate::outcome::{FormatError, Parsed, Problem, RejectKind, quote};
use crate::sink::Sink;
use line::{Line, Type};

/// Most tags of a line before those that stand twice are put together; far above any limit on labels.
const MAX_TAGS: usize = 1000;

/// Reads a packet or body of lines. Values without a timestamp happened at `now_ms`.
///
/// # Errors
/// [`FormatError`] when the body passes a bound on the whole request.
pub fn parse(
    body: &[u8],
    now_ms: i64,
    limits: &Limits,
    gauges: &mut dyn GaugeMemory,
) -> Result<Parsed, FormatError> {
    let mut sink = Sink::new(now_ms, limits);
    parse_into(body, &mut sink, gauges)?;
    Ok(sink.parsed)
}

/// Reads lines into a request that may hold more than these.
pub(crate) fn parse_into(
    body: &[u8],
    sink: &mut Sink<'_>,
    gauges: &mut dyn GaugeMemory,
) -> Result<(), FormatError> {
    let arena = Bump::new();
    let mut packet = Packet { arena: &arena, pairs: Vec::new(), slots: Slots::default() };
    let (mut start, mut number) = (0, 0u64);
    while start < body.len() {
        number += 1;
        let end = memchr(b'\n', &body[start..]).map_or(body.len(), |at| start + at);
        let line = body[start..end].trim_ascii();
        start = end + 1;
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        if line.starts_with(b"_e{") || line.starts_with(b"_sc|") {
            sink.parsed.ignored += 1;
            continue;
        }
        let result = std::str::from_utf8(line)
            .map_err(|_| Problem::syntax("the line is not UTF-8"))
            .and_then(line::parse);
        match result {
            Ok(line) => packet.values(&line, number, sink, gauges),
            Err(problem) => sink.reject(1, format_args!("line {number}"), problem),
        }
        sink.check_size()?;
    }
    packet.slots.flush(sink);
    sink.check_size()
}

/// A body while it is read.
struct Packet<'a> {
    arena: &'a Bump,
    pairs: Vec<(&'a str, &'a str)>,
    slots: Slots,
}

impl<'a> Packet<'a> {
    /// Takes all values of a line.
    fn values(&mut self, line: &Line<'a>, number: u64, sink: &mut Sink<'_>, gauges: &mut dyn GaugeMemory) {
        // Members of a set may hold colons, so sets have one member a line.
        let values = line.values.split(if line.kind == Type::Set { '\n' } else { ':' });
        let place = match self.labels(line) {
            Ok(()) => self.slots.open(line, &self.pairs, sink),
            Err(problem) => Err(problem),
        };
        let place = match place {
            Ok(place) => place,
            Err(problem) => {
                return sink.reject(values.count() as u64, format_args!("line {number}"), problem);
            }
        };
        for value in values {
            if let Err(problem) = self.slots.add(place, line, value, sink, gauges) {
                sink.reject(1, format_args!("line {number}"), problem);
            }
        }
    }

    /// Sets `pairs` to the line's labels.
    fn labels(&mut self, line: &Line<'a>) -> Result<(), Problem> {
        self.pairs.clear();
        self.pairs.push((METRIC_NAME, names::metric_name(line.name, self.arena)));
        for tag in line.tags.split(',').filter(|tag| !tag.is_empty()) {
            let (name, value) = tag.split_once(':').unwrap_or((tag, "true"));
            let name = names::label_name(name, self.arena);
            if name.is_empty() || name == METRIC_NAME {
                return Err(Problem::new(
                    RejectKind::Labels,
                    format!("tag {} has no usable name", quote(tag)),
                ));
            }
            if self.pairs.len() >= MAX_TAGS {
                return Err(Problem::new(RejectKind::Labels, format!("more than {MAX_TAGS} tags")));
            }
            self.pairs.push((name, value));
        }
        canonical::keep_last(&mut self.pairs);
        Ok(())
    }
}

/// What a series gathers within one body.
enum Content {
    Counter(f64),
    Gauge(f64),
    Distribution(Box<DistributionBuilder>),
    Set(Box<UniqueSet>),
}

/// One series at one time.
struct Slot {
    series: u32,
    own_ms: Option<i64>,
    content: Content,
    /// Values taken so far.
    values: u64,
}

/// All series of a body.
#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    places: HashMap<(SeriesId, i64), usize>,
}

impl Slots {
    /// The slot of the line's series and time, made if it is new.
    fn open<'b>(
        &mut self,
        line: &Line<'_>,
        pairs: &[(&'b str, &'b str)],
        sink: &mut Sink<'_>,
    ) -> Result<usize, Problem> {
        let timestamp_ms = line.timestamp_ms.unwrap_or(sink.now_ms);
        sink.check_time(timestamp_ms)?;
        let (kind, temporality, content) = match line.kind {
            Type::Counter => (MetricKind::Counter, Temporality::Delta, Content::Counter(0.0)),
            Type::Gauge => (MetricKind::Gauge, Temporality::Cumulative, Content::Gauge(0.0)),
            Type::Distribution => {
                let builder = Box::new(DistributionBuilder::new());
                (MetricKind::Histogram, Temporality::Delta, Content::Distribution(builder))
            }
            // Members add up like a delta: the set of a minute is the union of its samples.
            Type::Set => (MetricKind::Unknown, Temporality::Delta, Content::Set(Box::default())),
        };
        let series = sink.series(pairs.iter().copied(), kind, temporality)?;
        let simple = matches!(line.kind, Type::Counter | Type::Gauge);
        if simple && line.timestamp_ms.is_some() {
            // Values with a time of their own have been put together by their sender.
            self.slots.push(Slot { series, own_ms: line.timestamp_ms, content, values: 0 });
            return Ok(self.slots.len() - 1);
        }
        let id = sink.parsed.batch.series()[series as usize].id;
        let next = self.slots.len();
        let place = *self.places.entry((id, timestamp_ms)).or_insert(next);
        if place == next {
            self.slots.push(Slot { series, own_ms: line.timestamp_ms, content, values: 0 });
            return Ok(place);
        }
        sink.parsed.batch.pop_series();
        let known = &mut self.slots[place];
        if std::mem::discriminant(&known.content) != std::mem::discriminant(&content) {
            return Err(Problem::new(
                RejectKind::Type,
                format!("series {} has another type in an earlier line", quote(line.name)),
            ));
        }
        known.own_ms = known.own_ms.and(line.timestamp_ms);
        Ok(place)
    }

    /// Puts one value into its slot.
    fn add(
        &mut self,
        place: usize,
        line: &Line<'_>,
        text: &str,
        sink: &mut Sink<'_>,
        gauges: &mut dyn GaugeMemory,
    ) -> Result<(), Problem> {
        let slot = &mut self.slots[place];
        if let Content::Set(set) = &mut slot.content {
            set.insert(text.as_bytes());
            slot.values += 1;
            return Ok(());
        }
        let value = number::float(text).filter(|value| (value / line.rate).is_finite()).ok_or_else(|| {
            Problem::new(RejectKind::Value, format!("value {} is not a finite number", quote(text)))
        })?;
        match &mut slot.content {
            Content::Counter(sum) => *sum += value / line.rate,
            Content::Gauge(last) => {
                let relative = line.timestamp_ms.is_none() && text.starts_with(['+', '-']);
                let labels = sink.parsed.batch.labels_at(slot.series);
                if relative {
                    *last = gauges.add(labels, value).ok_or_else(|| {
                        Problem::new(
                            RejectKind::Value,
                            format!(
                                "relative gauge value {}: the value before it is not remembered here",
                                quote(text)
                            ),
                        )
                    })?;
                } else {
                    gauges.set(labels, value);
                    *last = value;
                }
            }
            Content::Distribution(builder) => builder.observe(value, 1.0 / line.rate),
            Content::Set(_) => {}
        }
        slot.values += 1;
        Ok(())
    }

    /// Moves everything gathered into the batch.
    fn flush(self, sink: &mut Sink<'_>) {
        for slot in self.slots.into_iter().filter(|slot| slot.values > 0) {
            let timestamp_ms = slot.own_ms.unwrap_or(sink.now_ms);
            let delta = !matches!(slot.content, Content::Gauge(_));
            let (counted, result) = match slot.content {
                Content::Counter(value) | Content::Gauge(value) => {
                    (1, sink.float(slot.series, timestamp_ms, value))
                }
                Content::Distribution(builder) => {
                    (0, sink.histogram(slot.series, timestamp_ms, builder.build()))
                }
                Content::Set(set) => (0, sink.set(slot.series, timestamp_ms, *set)),
            };
            match result {
                Ok(()) => {
                    sink.parsed.accepted.samples += slot.values - counted;
                    sink.parsed.own_timestamps &= slot.own_ms.is_some() || !delta;
                }
                Err(problem) => {
                    let series = sink.parsed.batch.labels_at(slot.series).to_string();
                    sink.reject(slot.values, format_args!("series {}", quote(&series)), problem);
                }
            }
        }
    }
}
