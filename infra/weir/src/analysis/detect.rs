//! `weir detect`: scores each row of a series as it comes.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use weir_insight::Detector;

use super::rows::Rows;

/// Settings of `weir detect`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Detect {
    /// CSV file of `timestamp,value`, in order of time; `-` is standard input.
    #[arg(long, env = "WEIR_DETECT_INPUT", default_value = "-", value_name = "FILE")]
    pub(crate) input: PathBuf,
}

/// Writes `timestamp,anomaly_score` to standard output, a row for a row.
pub(crate) fn detect(settings: &Detect) -> Result<()> {
    let mut rows = Rows::open(&settings.input)?;
    // A pipe wants each row at once; whole files are cheaper to write in larger pieces.
    let piped = settings.input.as_os_str() == "-";
    match run(&mut rows, &mut BufWriter::new(io::stdout().lock()), piped) {
        Err(error) if is_closed(&error) => Ok(()),
        done => done,
    }
}

/// Whether whoever read our output has gone, which is no failure.
pub(super) fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}

fn run(rows: &mut Rows, out: &mut impl Write, at_once: bool) -> Result<()> {
    let mut detector = Detector::new();
    writeln!(out, "timestamp,anomaly_score")?;
    while let Some(row) = rows.next()? {
        writeln!(out, "{},{}", row.timestamp, detector.score(row.value))?;
        if at_once {
            out.flush()?;
        }
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(csv: &str) -> String {
        let mut out = Vec::new();
        run(&mut Rows::of(Box::new(io::Cursor::new(csv.to_owned())), "test"), &mut out, false).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_row_gets_a_score_that_later_rows_do_not_change() {
        let lines: Vec<String> =
            (0..500).map(|i| format!("2026-01-01 00:{i},{}\n", if i == 400 { 90 } else { i % 7 })).collect();
        let csv = |count: usize| format!("timestamp,value\n{}", lines[..count].concat());
        let whole = scores(&csv(500));
        assert_eq!(whole.lines().count(), 501);
        for count in [0, 1, 100, 401] {
            assert!(whole.starts_with(&scores(&csv(count))), "after {count} rows");
        }
        let score = |line: &str| line.rsplit(',').next().unwrap().parse::<f64>().unwrap();
        let highest = whole.lines().skip(100).max_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
        assert!(highest.starts_with("2026-01-01 00:400,0.99"), "{highest}");
    }

    #[test]
    fn a_missing_value_scores_nothing() {
        assert_eq!(scores("t,v\nnow,\n"), "timestamp,anomaly_score\nnow,0\n");
    }
}
