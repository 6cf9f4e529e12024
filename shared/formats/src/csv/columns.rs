//! What the columns of a CSV body are.

use super::{LABEL_PREFIX, MAX_COLUMNS};
use crate::outcome::{FormatError, quote};

/// How a column of times is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeForm {
    /// ISO 8601, or a number whose magnitude tells its unit.
    Any,
    /// Numbers of this many a second.
    PerSecond(u64),
}

/// The meaning of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
    /// The metric's name.
    Name,
    Time(TimeForm),
    /// A sample of the metric in the column `Name`, or of this name.
    Value(Option<String>),
    Label(String),
    Kind,
    Temporality,
    Histogram,
    Set,
}

/// The columns of a body, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    pub(super) columns: Vec<Option<Column>>,
    /// True when they came out of the first row.
    pub(super) has_header: bool,
}

impl Columns {
    /// Columns by their place, as VictoriaMetrics' `format` parameter names them.
    ///
    /// # Errors
    /// [`FormatError`] that names the part that cannot be read.
    pub fn from_format(format: &str) -> Result<Self, FormatError> {
        let mut columns: Vec<Option<Column>> = Vec::new();
        let bad = |part: &str, reason: &str| {
            FormatError::bad(
                None,
                format!(
                    "format: {} {reason}; write for instance 2:metric:ask,1:time:unix_s,3:label:pair",
                    quote(part)
                ),
            )
        };
        for part in format.split(',') {
            let mut fields = part.trim().splitn(3, ':');
            let (place, kind, name) = (fields.next(), fields.next(), fields.next().unwrap_or_default());
            let place = place.and_then(|place| place.parse::<usize>().ok());
            let Some(place) = place.filter(|place| (1..=MAX_COLUMNS).contains(place)) else {
                return Err(bad(part, &format!("does not begin with a column from 1 to {MAX_COLUMNS}")));
            };
            let column = match (kind.unwrap_or_default(), name) {
                ("metric" | "label", "") => return Err(bad(part, "names nothing")),
                ("metric", name) => Column::Value(Some(name.to_owned())),
                ("label", name) => Column::Label(name.to_owned()),
                ("time", "unix_s") => Column::Time(TimeForm::PerSecond(1)),
                ("time", "unix_ms") => Column::Time(TimeForm::PerSecond(1_000)),
                ("time", "unix_ns") => Column::Time(TimeForm::PerSecond(1_000_000_000)),
                ("time", "rfc3339") => Column::Time(TimeForm::Any),
                ("time", _) => return Err(bad(part, "is none of unix_s, unix_ms, unix_ns, rfc3339")),
                _ => return Err(bad(part, "is neither a metric nor a label nor a time")),
            };
            if columns.len() < place {
                columns.resize(place, None);
            }
            if columns[place - 1].replace(column).is_some() {
                return Err(bad(part, "names a column again"));
            }
        }
        Self { columns, has_header: false }.checked()
    }

    /// Columns by the names in a first row; `metric` is the name of rows that have no such column.
    ///
    /// # Errors
    /// [`FormatError`] that names the column that is missing or repeated.
    pub fn from_header<'a>(
        header: impl Iterator<Item = &'a str>,
        metric: Option<&str>,
    ) -> Result<Self, FormatError> {
        let mut columns = Vec::new();
        for name in header.take(MAX_COLUMNS + 1) {
            // A byte order mark, which spreadsheets put first.
            let whole = name.trim_start_matches('\u{feff}');
            let name = whole.trim();
            let column = match name {
                "" => None,
                "metric" | "__name__" => Some(Column::Name),
                "timestamp" | "time" => Some(Column::Time(TimeForm::Any)),
                "timestamp_ms" => Some(Column::Time(TimeForm::PerSecond(1_000))),
                "value" => Some(Column::Value(metric.map(str::to_owned))),
                "type" => Some(Column::Kind),
                "temporality" => Some(Column::Temporality),
                "histogram" => Some(Column::Histogram),
                "set" => Some(Column::Set),
                name => Some(Column::Label(whole.strip_prefix(LABEL_PREFIX).unwrap_or(name).to_owned())),
            };
            if column.is_some() && columns.contains(&column) {
                return Err(FormatError::bad(
                    "line 1".to_owned(),
                    format!("two columns of the header mean the same, the second is {}", quote(name)),
                ));
            }
            columns.push(column);
        }
        let named = metric.is_some() || columns.contains(&Some(Column::Name));
        if !named {
            return Err(FormatError::bad(
                "line 1".to_owned(),
                "the header has no column \"metric\", and the parameter metric=NAME is not given",
            ));
        }
        Self { columns, has_header: true }.checked()
    }

    fn checked(self) -> Result<Self, FormatError> {
        let place = || self.has_header.then(|| "line 1".to_owned());
        if self.columns.len() > MAX_COLUMNS {
            return Err(FormatError::too_large(format!("more than {MAX_COLUMNS} columns")));
        }
        let has = |wanted: fn(&Column) -> bool| self.columns.iter().flatten().any(wanted);
        if !has(|c| matches!(c, Column::Value(_) | Column::Histogram | Column::Set)) {
            let reason = "no column holds samples: a header needs \"value\", a format NUMBER:metric:NAME";
            return Err(FormatError::bad(place(), reason));
        }
        let times = self.columns.iter().flatten().filter(|c| matches!(c, Column::Time(_))).count();
        if times > 1 {
            return Err(FormatError::bad(place(), "two columns hold times, one is needed"));
        }
        Ok(self)
    }
}
