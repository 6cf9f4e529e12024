//! How well the detector does on labelled series of the Numenta Anomaly Benchmark.
//!
//! `cargo bench -p weir-insight --bench nab -- --data FOLDER`, where the folder holds `windows.json`
//! (series to `[first, last]` timestamps) and the series it names, as CSV of `timestamp,value`.

mod scoring;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use scoring::Scored;
use weir_insight::Detector;

type Problem = Box<dyn std::error::Error>;

fn main() -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    let mut args = std::env::args().skip_while(|arg| arg != "--data").skip(1);
    let Some(folder) = args.next() else {
        writeln!(out, "nothing to do: name the folder of the labelled series by --data FOLDER")?;
        return Ok(());
    };
    let folder = Path::new(&folder);
    let labels: BTreeMap<String, Vec<[String; 2]>> =
        serde_json::from_str(&std::fs::read_to_string(folder.join("windows.json"))?)?;
    let (mut names, mut series) = (Vec::new(), Vec::new());
    let (mut rows, started) = (0, Instant::now());
    for (name, windows) in labels {
        let (timestamps, values) = read(&folder.join(&name))?;
        let place = |wanted: &String| {
            let wanted = wanted.split('.').next().unwrap_or_default();
            timestamps.iter().position(|t| t == wanted).ok_or(format!("{name} has no row {wanted}"))
        };
        let mut ranges = Vec::new();
        for [first, last] in &windows {
            ranges.push((place(first)?, place(last)?));
        }
        let mut detector = Detector::new();
        let scores: Vec<f64> = values.iter().map(|value| detector.score(*value)).collect();
        rows += scores.len();
        series.push(scoring::scored(&scores, &ranges));
        names.push(name);
    }
    let micros = started.elapsed().as_secs_f64() * 1e6 / rows as f64;
    let all: Vec<&Scored> = series.iter().collect();
    let threshold = scoring::best_threshold(&all);
    for (name, one) in names.iter().zip(&all) {
        let o = scoring::outcome(one, threshold);
        let (found, windows) = (o.found, one.windows);
        writeln!(
            out,
            "{name:55} {:6.2}  found {found} of {windows}, false alarms {}",
            o.raw, o.false_alarms
        )?;
    }
    writeln!(out, "threshold {threshold:.6}, {micros:.1} µs a row with reading")?;
    report(&mut out, "one threshold for all", &all, |_| threshold)?;
    let without = |left_out: &dyn Fn(usize) -> bool| {
        let rest: Vec<&Scored> =
            all.iter().enumerate().filter(|(i, _)| !left_out(*i)).map(|(_, s)| *s).collect();
        scoring::best_threshold(&rest)
    };
    report(&mut out, "threshold of the other series", &all, |i| without(&|j| i == j))?;
    let category = |i: usize| names[i].split('/').next().unwrap_or_default();
    report(&mut out, "threshold of the other categories", &all, |i| {
        without(&|j| category(i) == category(j))
    })?;
    Ok(())
}

/// Writes the score, precision and recall with a threshold per series.
fn report(
    out: &mut impl Write,
    title: &str,
    all: &[&Scored],
    threshold: impl Fn(usize) -> f64,
) -> std::io::Result<()> {
    let outcomes: Vec<_> = all.iter().enumerate().map(|(i, s)| scoring::outcome(s, threshold(i))).collect();
    let windows: usize = all.iter().map(|s| s.windows).sum();
    let score = scoring::normalised(outcomes.iter().map(|o| o.raw).sum(), windows);
    let found: usize = outcomes.iter().map(|o| o.found).sum();
    let wrong: usize = outcomes.iter().map(|o| o.false_alarms).sum();
    let right: usize = outcomes.iter().map(|o| o.true_alarms).sum();
    writeln!(
        out,
        "{title:34} score {score:.1}, recall {:.2} ({found} of {windows} windows), precision {:.2} of windows, {:.2} of alarms ({wrong} false)",
        found as f64 / windows as f64,
        found as f64 / (found + wrong).max(1) as f64,
        right as f64 / (right + wrong).max(1) as f64,
    )
}

fn read(path: &Path) -> Result<(Vec<String>, Vec<f64>), Problem> {
    let text = std::fs::read_to_string(path)?;
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    for line in text.lines().skip(1) {
        let (timestamp, value) = line.split_once(',').ok_or(format!("{line:?} has no comma"))?;
        timestamps.push(timestamp.to_owned());
        values.push(value.trim().parse()?);
    }
    Ok((timestamps, values))
}
