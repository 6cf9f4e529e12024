//! Walks through the lake and hands each series of each window to whoever writes it.

use std::time::Instant;

use hashbrown::HashSet;
use tokio::runtime::Handle;
use weir_lake::{Lake, LakeError, Selection, SeriesInfo};
use weir_model::{METRIC_NAME, Matcher, Samples};

use super::Order;
use super::encode::{EncodeError, Format};
use crate::error::{ApiError, Kind};

/// Time that one window spans, in milliseconds; halved while its samples are too many to hold.
const WINDOW_MS: i64 = 86_400_000;
/// The shortest window tried.
const MIN_WINDOW_MS: i64 = 60_000;
/// Most columns of labels that a CSV may have.
const MAX_CSV_LABELS: usize = 200;

/// Bounds of one export.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) max_series: usize,
    pub(super) deadline: Instant,
}

/// The names of all labels, for the columns of CSV; empty for formats that need none.
pub(super) async fn label_names(lake: &Lake, order: &Order) -> Result<Vec<String>, ApiError> {
    if order.format != Format::Csv {
        return Ok(Vec::new());
    }
    let Order { tenant, selectors, start_ms, end_ms, .. } = order;
    let names = lake.label_names(tenant, selectors, *start_ms, *end_ms, MAX_CSV_LABELS + 2).await?;
    if names.len() > MAX_CSV_LABELS + 1 {
        return Err(ApiError::new(
            Kind::Execution,
            format!(
                "the series have more than {MAX_CSV_LABELS} labels, each a column: export jsonl or parquet, or select fewer series"
            ),
        ));
    }
    Ok(names)
}

/// Reads everything of an order, on a thread that may block, and gives it to `put` in the order that the
/// format needs.
pub(super) fn walk(
    runtime: &Handle,
    lake: &Lake,
    order: &Order,
    bounds: Bounds,
    mut put: impl FnMut(&SeriesInfo, &Samples) -> Result<(), EncodeError>,
) -> Result<(), ApiError> {
    if order.format != Format::OpenMetrics {
        return windows(runtime, lake, order, bounds, &mut put);
    }
    // A family must stand in one place, so name by name, and all of its time at once.
    let Order { tenant, selectors, start_ms, end_ms, .. } = order;
    let names = lake.label_values(tenant, METRIC_NAME, selectors, *start_ms, *end_ms, bounds.max_series);
    for name in runtime.block_on(names)? {
        let mut of_name = order.clone();
        for selector in &mut of_name.selectors {
            selector.push(Matcher::equal(METRIC_NAME, &name));
        }
        window(runtime, lake, &of_name, (*start_ms, *end_ms), bounds, &mut put)?;
    }
    Ok(())
}

fn windows(
    runtime: &Handle,
    lake: &Lake,
    order: &Order,
    bounds: Bounds,
    put: &mut impl FnMut(&SeriesInfo, &Samples) -> Result<(), EncodeError>,
) -> Result<(), ApiError> {
    let mut width = WINDOW_MS;
    let mut from = order.start_ms;
    while from <= order.end_ms {
        // Windows end with a day, as blocks do.
        let to = (from.div_euclid(width) + 1).saturating_mul(width).saturating_sub(1).min(order.end_ms);
        match window(runtime, lake, order, (from, to), bounds, put) {
            Err(Stopped::TooMuch(_)) if width > MIN_WINDOW_MS => width /= 2,
            Err(stopped) => return Err(stopped.into()),
            Ok(()) => from = to.saturating_add(1),
        }
    }
    Ok(())
}

/// Why a window was not written.
enum Stopped {
    /// It holds more than may be held at once; nothing of it was written.
    TooMuch(LakeError),
    Failed(ApiError),
}

impl From<Stopped> for ApiError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::TooMuch(error) => error.into(),
            Stopped::Failed(error) => error,
        }
    }
}

/// Writes what one time range holds. A series that several selectors match is written once.
fn window(
    runtime: &Handle,
    lake: &Lake,
    order: &Order,
    (start_ms, end_ms): (i64, i64),
    bounds: Bounds,
    put: &mut impl FnMut(&SeriesInfo, &Samples) -> Result<(), EncodeError>,
) -> Result<(), Stopped> {
    let mut selections = Vec::with_capacity(order.selectors.len());
    for matchers in &order.selectors {
        let wish = Selection {
            matchers: matchers.clone(),
            start_ms,
            end_ms,
            max_series: bounds.max_series,
            bypass_cache: false,
        };
        selections.push(runtime.block_on(lake.select(&order.tenant, &wish)).map_err(
            |error| match error {
                LakeError::Limit { .. } => Stopped::TooMuch(error),
                other => Stopped::Failed(other.into()),
            },
        )?);
    }
    let mut done = HashSet::new();
    let several = selections.len() > 1;
    let mut samples = Samples::default();
    for selection in &selections {
        let mut reader = selection.reader();
        for (place, series) in selection.series().iter().enumerate() {
            if several && !done.insert((series.labels.clone(), series.temporality)) {
                continue;
            }
            if Instant::now() > bounds.deadline {
                let error = "the export takes longer than allowed; export a shorter range, or fewer series";
                return Err(Stopped::Failed(ApiError::new(Kind::Timeout, error)));
            }
            reader.read(place, &mut samples).map_err(|error| Stopped::Failed(error.into()))?;
            if !samples.is_empty() {
                put(series, &samples).map_err(|error| Stopped::Failed(error.into()))?;
            }
        }
    }
    Ok(())
}

impl From<EncodeError> for ApiError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::NotInText(error) => Self::new(Kind::Execution, error.to_string()),
            EncodeError::Sink(_) | EncodeError::Table(_) => {
                Self::new(Kind::Canceled, "the export could not be written to its end")
            }
        }
    }
}
