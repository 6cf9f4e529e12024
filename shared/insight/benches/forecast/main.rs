//! How good forecasts are: against the seasonal naive, on hourly series made here or read from a folder.
//!
//! `cargo bench -p weir-insight --bench forecast [-- --data FOLDER]`: every CSV (`timestamp,value`) below the
//! folder is averaged to hours in the order of its rows.

use std::io::Write;
use std::path::Path;

use weir_insight::forecast;

const PERIODS: [usize; 2] = [24, 168];
const HORIZONS: [usize; 3] = [1, 24, 168];
/// Forecasts made per series and horizon.
const TRIALS: usize = 6;

type Problem = Box<dyn std::error::Error>;
/// A name and hourly values.
type Series = (String, Vec<f64>);

fn main() -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    let mut args = std::env::args().skip_while(|arg| arg != "--data").skip(1);
    let series = match args.next() {
        Some(folder) => read_all(Path::new(&folder))?,
        None => made(),
    };
    writeln!(out, "{:40} horizon   MASE  naive  sMAPE  naive  covered", "series")?;
    let mut totals = [[0.0; 6]; HORIZONS.len()];
    for (name, values) in &series {
        for (horizon, total) in HORIZONS.iter().zip(&mut totals) {
            let Some(row) = judge(values, *horizon) else { continue };
            writeln!(out, "{name:40} {horizon:7} {}", figures(&row))?;
            total.iter_mut().zip(row.iter().chain([&1.0])).for_each(|(sum, x)| *sum += x);
        }
    }
    for (horizon, total) in HORIZONS.iter().zip(&totals) {
        let [sums @ .., count] = total;
        let mean = sums.map(|sum| sum / count);
        writeln!(out, "{:40} {horizon:7} {}", format!("mean of {count}"), figures(&mean))?;
    }
    Ok(())
}

fn figures(row: &[f64]) -> String {
    row.iter().map(|x| format!("{x:6.3} ")).collect()
}

/// Mean absolute scaled error, that of the seasonal naive, symmetric percentage errors of both, coverage.
fn judge(values: &[f64], horizon: usize) -> Option<[f64; 5]> {
    let season = PERIODS[0];
    let spare = values.len().checked_sub(horizon * 2 + 3 * season)?;
    let trials = TRIALS.min(spare / horizon.min(24) + 1);
    let mut row = [0.0; 5];
    let mut count = 0.0;
    for trial in 0..trials {
        let origin = values.len() - horizon - trial * (spare / 2 / trials);
        let past = &values[..origin];
        let scale = past.windows(season + 1).map(|w| (w[season] - w[0]).abs()).sum::<f64>()
            / (origin - season) as f64;
        let forecast = forecast(past, horizon, &PERIODS)?;
        for ahead in 0..horizon {
            let actual = values[origin + ahead];
            let naive = past[origin - season + ahead % season];
            let guess = forecast.values[ahead];
            let relative = |x: f64| 200.0 * (x - actual).abs() / (x.abs() + actual.abs()).max(1e-9);
            row[0] += (guess - actual).abs() / scale.max(1e-9);
            row[1] += (naive - actual).abs() / scale.max(1e-9);
            row[2] += relative(guess);
            row[3] += relative(naive);
            row[4] += f64::from((forecast.lower[ahead]..=forecast.upper[ahead]).contains(&actual));
            count += 1.0;
        }
    }
    (count > 0.0).then(|| row.map(|x| x / count))
}

/// Noise from -1 to 1, the same in every run.
fn noise(i: usize) -> f64 {
    let mut x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 31;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    (x % 20_000) as f64 / 10_000.0 - 1.0
}

fn made() -> Vec<Series> {
    let day = |i: usize| (i as f64 * std::f64::consts::TAU / 24.0).sin();
    let weekend = |i: usize| if i / 24 % 7 >= 5 { 0.5 } else { 1.0 };
    let mut walk = 0.0;
    let mut last = 0.0;
    let cases: Vec<(&str, Vec<f64>)> = vec![
        ("day", (0..840).map(|i| 50.0 + 20.0 * day(i) + 3.0 * noise(i)).collect()),
        ("day and week", (0..1200).map(|i| weekend(i) * (60.0 + 20.0 * day(i)) + 3.0 * noise(i)).collect()),
        ("day on a trend", (0..840).map(|i| 0.05 * i as f64 + 10.0 * day(i) + 2.0 * noise(i)).collect()),
        (
            "random walk",
            (0..840)
                .map(|i| {
                    walk += noise(i);
                    walk
                })
                .collect(),
        ),
        (
            "autocorrelated",
            (0..840)
                .map(|i| {
                    last = 0.9 * last + noise(i);
                    10.0 + last
                })
                .collect(),
        ),
        ("noise", (0..840).map(|i| 10.0 + noise(i)).collect()),
        (
            "outliers",
            (0..840).map(|i| 50.0 + 20.0 * day(i) + if i % 53 == 7 { 300.0 } else { noise(i) }).collect(),
        ),
        ("mostly zero", (0..840).map(|i| if noise(i) > 0.8 { 5.0 } else { 0.0 }).collect()),
        (
            "shifted",
            (0..840).map(|i| 20.0 + if i > 500 { 30.0 } else { 0.0 } + 5.0 * day(i) + noise(i)).collect(),
        ),
        ("short", (0..130).map(|i| 50.0 + 20.0 * day(i) + 3.0 * noise(i)).collect()),
    ];
    cases.into_iter().map(|(name, values)| (name.to_owned(), values)).collect()
}

fn read_all(folder: &Path) -> Result<Vec<Series>, Problem> {
    let mut series = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for path in entries.iter().map(std::fs::DirEntry::path) {
        if path.is_dir() {
            series.extend(read_all(&path)?);
        } else if path.extension().is_some_and(|e| e == "csv") {
            let text = std::fs::read_to_string(&path)?;
            let mut hours: Vec<(String, f64, f64)> = Vec::new();
            for (timestamp, value) in text.lines().skip(1).filter_map(|line| line.split_once(',')) {
                let (hour, value) = (timestamp.get(..13).unwrap_or(timestamp), value.trim().parse::<f64>()?);
                match hours.last_mut() {
                    Some(last) if last.0 == hour => {
                        last.1 += value;
                        last.2 += 1.0;
                    }
                    _ => hours.push((hour.to_owned(), value, 1.0)),
                }
            }
            let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            series.push((name, hours.iter().map(|(_, sum, count)| sum / count).collect()));
        }
    }
    Ok(series)
}
