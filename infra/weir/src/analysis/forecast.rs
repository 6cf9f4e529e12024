//! `weir forecast`: the next steps of a series, with a 95 % band.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use weir_insight::{
    MAX_FORECAST_VALUES, MAX_HORIZON, calendar_seasons, evenly, forecast as predict, usual_step,
};

use super::detect::is_closed;
use super::moment::Form;
use super::rows::Rows;

/// Most rows of a file.
const MAX_ROWS: usize = 5_000_000;

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
    let (times, values): (Vec<i64>, Vec<f64>) = points.into_iter().unzip();
    let (Some(step), Some(newest)) = (usual_step(&times), times.last()) else {
        bail!("at least two rows at different times are needed to tell the step");
    };
    let values = evenly(&times, &values, step, MAX_FORECAST_VALUES);
    // A season needs two turns to show.
    let seasons = calendar_seasons(step, MAX_FORECAST_VALUES / 2);
    let forecast =
        predict(&values, horizon, &seasons).context("no row has a finite value to forecast from")?;
    writeln!(out, "timestamp,forecast,lower,upper")?;
    let bands = forecast.lower.iter().zip(&forecast.upper);
    for (ahead, (value, (lower, upper))) in (1..).zip(forecast.values.iter().zip(bands)) {
        let at = form.write(newest.saturating_add(step.saturating_mul(ahead)));
        writeln!(out, "{at},{value},{lower},{upper}")?;
    }
    Ok(out.flush()?)
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
