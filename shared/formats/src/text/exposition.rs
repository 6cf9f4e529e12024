//! Prometheus text 0.0.4 out: families of untyped samples and classic histograms, each with a timestamp.

use weir_model::{Histogram, LabelsRef, METRIC_NAME};

/// How names go out that are no legacy names (`[a-zA-Z_:][a-zA-Z0-9_:]*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// With underscores for what does not fit: any reader takes it.
    Underscores,
    /// Quoted, as Prometheus 3 reads them.
    Utf8,
}

/// A page in the making.
#[derive(Debug)]
pub struct Page {
    out: String,
    names: Names,
    family: String,
}

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self { out: String::new(), names, family: String::new() }
    }

    /// The page's text.
    #[must_use]
    pub fn finish(self) -> String {
        self.out
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// True when there is no sample yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Adds a float. `more` labels come after those of the series.
    pub fn float(&mut self, labels: LabelsRef<'_>, more: &[(&str, &str)], value: f64, timestamp_ms: i64) {
        let name = metric(labels);
        self.declare(name, "untyped");
        self.line(name, "", labels, more, value, timestamp_ms);
    }

    /// Adds a histogram with custom buckets as a classic one; others have no form in this format.
    pub fn histogram(
        &mut self,
        labels: LabelsRef<'_>,
        more: &[(&str, &str)],
        histogram: &Histogram,
        timestamp_ms: i64,
    ) {
        let name = metric(labels);
        self.declare(name, "histogram");
        let mut buckets = histogram.positive().peekable();
        let mut below = 0.0;
        for (index, bound) in (0..).zip(histogram.custom_values.iter().copied()) {
            while let Some((_, count)) = buckets.next_if(|(at, _)| *at <= index) {
                below += count;
            }
            let bound = number(bound);
            let with_bound: Vec<(&str, &str)> =
                more.iter().copied().chain([("le", bound.as_str())]).collect();
            self.line(name, "_bucket", labels, &with_bound, below, timestamp_ms);
        }
        let with_bound: Vec<(&str, &str)> = more.iter().copied().chain([("le", "+Inf")]).collect();
        self.line(name, "_bucket", labels, &with_bound, histogram.count, timestamp_ms);
        self.line(name, "_sum", labels, more, histogram.sum, timestamp_ms);
        self.line(name, "_count", labels, more, histogram.count, timestamp_ms);
    }

    fn declare(&mut self, name: &str, kind: &str) {
        let family = format!("{name} {kind}");
        if self.family == family {
            return;
        }
        self.out.push_str("# TYPE ");
        if is_legacy(name, true) {
            self.out.push_str(name);
        } else if self.names == Names::Utf8 {
            self.quoted(name);
        } else {
            self.out.push_str(&underscored(name, true));
        }
        self.out.push(' ');
        self.out.push_str(kind);
        self.out.push('\n');
        self.family = family;
    }

    fn line(
        &mut self,
        name: &str,
        suffix: &str,
        labels: LabelsRef<'_>,
        more: &[(&str, &str)],
        value: f64,
        timestamp_ms: i64,
    ) {
        let full = format!("{name}{suffix}");
        let inside = !is_legacy(&full, true) && self.names == Names::Utf8;
        let mut open = false;
        if inside {
            self.out.push('{');
            self.quoted(&full);
            open = true;
        } else if is_legacy(&full, true) {
            self.out.push_str(&full);
        } else {
            self.out.push_str(&underscored(&full, true));
        }
        for (name, value) in
            labels.iter().filter(|(name, _)| *name != METRIC_NAME).chain(more.iter().copied())
        {
            self.out.push(if open { ',' } else { '{' });
            open = true;
            if is_legacy(name, false) {
                self.out.push_str(name);
            } else if self.names == Names::Utf8 {
                self.quoted(name);
            } else {
                self.out.push_str(&underscored(name, false));
            }
            self.out.push('=');
            self.quoted(value);
        }
        if open {
            self.out.push('}');
        }
        self.out.push(' ');
        self.out.push_str(&number(value));
        self.out.push(' ');
        self.out.push_str(&timestamp_ms.to_string());
        self.out.push('\n');
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                '\n' => self.out.push_str("\\n"),
                other => self.out.push(other),
            }
        }
        self.out.push('"');
    }
}

fn metric(labels: LabelsRef<'_>) -> &str {
    labels.iter().find(|(name, _)| *name == METRIC_NAME).map_or("", |(_, value)| value)
}

fn fits(at: usize, character: char, colons: bool) -> bool {
    character.is_ascii_alphabetic()
        || character == '_'
        || character == ':' && colons
        || character.is_ascii_digit() && at > 0
}

fn is_legacy(name: &str, colons: bool) -> bool {
    !name.is_empty() && name.chars().enumerate().all(|(at, c)| fits(at, c, colons))
}

fn underscored(name: &str, colons: bool) -> String {
    name.chars().enumerate().map(|(at, c)| if fits(at, c, colons) { c } else { '_' }).collect()
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        (if value > 0.0 { "+Inf" } else { "-Inf" }).to_owned()
    } else {
        let text = format!("{value:?}");
        text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use weir_model::{Labels, SCHEMA_CUSTOM_BUCKETS, Span};

    use super::*;

    #[test]
    fn families_are_declared_once_and_odd_names_escaped() {
        let series = [
            Labels::from_pairs([("__name__", "up"), ("job", "a\"b\\c\nd")]),
            Labels::from_pairs([("__name__", "up")]),
            Labels::from_pairs([("__name__", "my.metric"), ("a.b", "c")]),
        ];
        for (names, want) in [
            (
                Names::Underscores,
                "# TYPE up untyped\nup{job=\"a\\\"b\\\\c\\nd\",instance=\"\"} 1 5\nup{instance=\"\"} NaN 5\n\
                 # TYPE my_metric untyped\nmy_metric{a_b=\"c\",instance=\"\"} 1e300 5\n",
            ),
            (
                Names::Utf8,
                "# TYPE up untyped\nup{job=\"a\\\"b\\\\c\\nd\",instance=\"\"} 1 5\nup{instance=\"\"} NaN 5\n\
                 # TYPE \"my.metric\" untyped\n{\"my.metric\",\"a.b\"=\"c\",instance=\"\"} 1e300 5\n",
            ),
        ] {
            let mut page = Page::new(names);
            for (labels, value) in series.iter().zip([1.0, f64::NAN, 1e300]) {
                page.float(labels.borrowed(), &[("instance", "")], value, 5);
            }
            assert_eq!(page.finish(), want);
        }
    }

    #[test]
    fn custom_buckets_become_a_classic_histogram() {
        let histogram = Histogram {
            schema: SCHEMA_CUSTOM_BUCKETS,
            count: 6.0,
            sum: 7.5,
            positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 1 }],
            positive_buckets: vec![2.0, 4.0],
            custom_values: vec![0.5, 1.0],
            ..Histogram::default()
        };
        let mut page = Page::new(Names::Utf8);
        page.histogram(Labels::from_pairs([("__name__", "h")]).borrowed(), &[], &histogram, 9);
        assert_eq!(
            page.finish(),
            "# TYPE h histogram\nh_bucket{le=\"0.5\"} 2 9\nh_bucket{le=\"1\"} 2 9\nh_bucket{le=\"+Inf\"} 6 9\n\
             h_sum 7.5 9\nh_count 6 9\n"
        );
    }
}
