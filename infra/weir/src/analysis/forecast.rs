//! `weir forecast`: the next steps of a series, with a 95 % band.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use weir_insight::{MAX_FORECAST_VALUES, MAX_HORIZON, forecast as predict, median};

use super::detect::is_closed;
use super::moment::Form;
use super::rows::Rows;

/// Most rows of a file.
const MAX_ROWS: usize = 5_000_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Settings of `weir forecast`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ForecastSettings {
    /// How many steps to forecast; a step is the usual distance of the file's rows.
    #[arg(long, env = "WEIR_FORECAST_HORIZON", value_parser = horizon, value_name = "N")]
    pub(crate) horizon: usize,

    /// CSV file of `timestamp,value`; `-` is standard input.
    #[arg(env = "WEIR_FORECAST_INPUT", default_value = "-", value_name = "FILE")]
    pub(crate) input: PathBuf,
}

fn horizon(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| (1..=MAX_HORIZON).contains(n));
    number.ok_or(format!("{text:?} is no number of steps from 1 to {MAX_HORIZON}"))
}

/// Writes `timestamp,forecast,lower,upper` to standard output.
pub(crate) fn forecast(settings: &ForecastSettings) -> Result<()> {
    let mut rows = Rows::open(&settings.input)?;
    match run(&mut rows, settings.horizon, &mut BufWriter::new(io::stdout().lock())) {
        Err(error) if is_closed(&error) => Ok(()),
        done => done,
    }
}

fn run(rows: &mut Rows, horizon: usize, out: &mut impl Write) -> Result<()> {
    let mut points: Vec<(i64, f64)> = Vec::new();
    let mut form = None;
    while let Some(row) = rows.next()? {
        if points.len() == MAX_ROWS {
            bail!(
                "more than {MAX_ROWS} rows; only the newest {MAX_FORECAST_VALUES} count, so leave out the oldest"
            );
        }
        let text = &row.timestamp;
        let refusal =
            || format!("timestamp {text:?} of row {} is neither a number nor ISO 8601", points.len() + 1);
        let form = match &form {
            Some(form) => form,
            None => form.insert(Form::of(text).with_context(refusal)?),
        };
        points.push((form.read(text).with_context(refusal)?, row.value));
    }
    let Some(form) = form else { bail!("there are no rows to forecast from") };
    points.sort_by_key(|(ms, _)| *ms);
    let Some(step) = step(&points) else {
        bail!("at least two rows at different times are needed to tell the step");
    };
    let values = grid(&points, step);
    let newest = points.last().map_or(0, |(ms, _)| *ms);
    let forecast =
        predict(&values, horizon, &periods(step)).context("no row has a finite value to forecast from")?;
    writeln!(out, "timestamp,forecast,lower,upper")?;
    let bands = forecast.lower.iter().zip(&forecast.upper);
    for (ahead, (value, (lower, upper))) in (1..).zip(forecast.values.iter().zip(bands)) {
        let at = form.write(newest.saturating_add(step.saturating_mul(ahead)));
        writeln!(out, "{at},{value},{lower},{upper}")?;
    }
    Ok(out.flush()?)
}

/// The usual distance of neighbouring times, in milliseconds.
fn step(points: &[(i64, f64)]) -> Option<i64> {
    let distances: Vec<f64> =
        points.windows(2).map(|w| (w[1].0 - w[0].0) as f64).filter(|ms| *ms > 0.0).collect();
    let usual = median(&distances).round();
    (usual >= 1.0).then_some(usual as i64)
}

/// The newest values at even steps that end at the newest time: where several fall together their mean,
/// where none does NaN.
fn grid(points: &[(i64, f64)], step: i64) -> Vec<f64> {
    let newest = points.last().map_or(0, |(ms, _)| *ms);
    let mut sums = vec![(0.0, 0.0); MAX_FORECAST_VALUES];
    let mut longest = 0;
    for (ms, value) in points.iter().rev() {
        let back = ((newest - ms + step / 2) / step) as usize;
        if back >= MAX_FORECAST_VALUES {
            break;
        }
        longest = back + 1;
        if value.is_finite() {
            sums[back].0 += 1.0;
            // A running mean, which large values do not overflow.
            sums[back].1 += (value - sums[back].1) / sums[back].0;
        }
    }
    sums[..longest].iter().rev().map(|(count, mean)| if *count > 0.0 { *mean } else { f64::NAN }).collect()
}

/// The seasons that data of this step may have, in steps: hour, day, week, year.
fn periods(step: i64) -> Vec<usize> {
    let seasons = [HOUR_MS, DAY_MS, 7 * DAY_MS, 365 * DAY_MS];
    // A season of two or three steps is no shape; one of thousands would need years of data.
    let whole = seasons.iter().filter(|season| **season >= 4 * step);
    whole
        .map(|season| ((season + step / 2) / step) as usize)
        .filter(|p| *p <= MAX_FORECAST_VALUES / 2)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast_of(csv: &str, horizon: usize) -> Result<String> {
        let mut out = Vec::new();
        run(&mut Rows::of(Box::new(io::Cursor::new(csv.to_owned())), "test"), horizon, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn a_daily_wave_goes_on_with_the_files_own_timestamps_and_step() {
        let wave = |hour: usize| 100.0 + 10.0 * (hour as f64 * std::f64::consts::TAU / 24.0).sin();
        // Some rows are missing, and one comes twice.
        let hours = (0..480).filter(|hour| hour % 50 != 7).chain([100]);
        let row =
            |hour: usize| format!("2026-01-{:02} {:02}:00:00,{}\n", 1 + hour / 24, hour % 24, wave(hour));
        let csv = format!("timestamp,value\n{}", hours.map(row).collect::<String>());
        let text = forecast_of(&csv, 48).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (49, "timestamp,forecast,lower,upper"));
        assert!(lines[1].starts_with("2026-01-21 00:00:00,"), "{}", lines[1]);
        for (i, line) in lines[1..].iter().enumerate() {
            let numbers: Vec<f64> = line.split(',').skip(1).map(|x| x.parse().unwrap()).collect();
            assert!((numbers[0] - wave(480 + i)).abs() < 0.5, "{line}");
            assert!(numbers[1] <= numbers[0] && numbers[0] <= numbers[2], "{line}");
        }
    }

    #[test]
    fn what_cannot_be_forecast_is_refused_with_the_reason() {
        for (csv, want) in [
            ("t,v\n", "no rows"),
            ("t,v\n2026-01-01,1\n", "two rows"),
            ("t,v\n1,1\n1,2\n", "two rows"),
            ("t,v\n1,\n2,\n", "no row has a finite value"),
            ("t,v\nnoon,1\n", "timestamp \"noon\" of row 1"),
        ] {
            let error = format!("{:#}", forecast_of(csv, 3).unwrap_err());
            assert!(error.contains(want), "{csv:?}: {error}");
        }
        assert!(horizon("0").is_err() && horizon("10001").is_err());
    }
}
