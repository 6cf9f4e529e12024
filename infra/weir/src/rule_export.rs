//! `weir export-rules`: alerting rules as monitors of Datadog.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use weir_rules::RuleFile;
use weir_rules::datadog::{Loss, Monitor, Options, monitors};

use crate::banner::{complain, say};

/// Settings of `weir export-rules`.
#[derive(Debug, Args)]
pub(crate) struct ExportRules {
    /// Rule files to write as a list of monitors in Datadog's JSON, one `POST /api/v1/monitor` each.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    datadog: Vec<PathBuf>,

    /// The file to write; the standard output without it.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// End with status 1 when anything of the rules has no counterpart, which otherwise is only said.
    #[arg(long)]
    strict: bool,

    /// A metric's name there, e.g. --metric k8s_pods_failed=k8s.pods.failed; those that events become are known.
    #[arg(long = "metric", value_parser = renamed, value_name = "NAME=THERE")]
    metrics: Vec<(String, String)>,

    /// Tag that tells the series of a metric apart where a rule does not aggregate them.
    #[arg(long, value_name = "TAG")]
    by: Vec<String>,

    /// Whom critical monitors notify.
    #[arg(long, default_value = "@pagerduty-critical", value_name = "HANDLE")]
    notify_critical: String,

    /// Whom all others notify.
    #[arg(long, default_value = "@slack-alerts", value_name = "HANDLE")]
    notify: String,

    /// What $externalURL stands for in links.
    #[arg(long, default_value = "", value_name = "URL")]
    external_url: String,
}

fn renamed(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((here, there)) if !here.is_empty() && !there.is_empty() => {
            Ok((here.to_owned(), there.to_owned()))
        }
        _ => Err(format!("{text:?} is not of the form NAME=THERE")),
    }
}

/// Runs `weir export-rules`; what cannot be expressed is said on the error output.
pub(crate) fn export(settings: &ExportRules) -> ExitCode {
    match run(settings) {
        Err(error) => {
            complain(&format!("weir: {error:#}"));
            ExitCode::FAILURE
        }
        Ok(losses) => {
            for Loss { place, alert, reason, left_out } in &losses {
                let fate = if *left_out { "left out: " } else { "" };
                complain(&format!("{place}: {alert}: {fate}{reason}"));
            }
            if settings.strict && !losses.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}

fn run(settings: &ExportRules) -> Result<Vec<Loss>> {
    let options = options(settings)?;
    let (mut all, mut losses): (Vec<Monitor>, Vec<Loss>) = (Vec::new(), Vec::new());
    for path in &settings.datadog {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = RuleFile::parse(&path.display().to_string(), &text)?;
        let (monitors, lost) = monitors(&file, &options);
        all.extend(monitors);
        losses.extend(lost);
    }
    let json = serde_json::to_string_pretty(&all)?;
    match &settings.output {
        None => say(&json),
        Some(path) => {
            std::fs::write(path, json + "\n").with_context(|| format!("cannot write {}", path.display()))?;
            say(&format!("{}: {} monitors", path.display(), all.len()));
        }
    }
    Ok(losses)
}

fn options(settings: &ExportRules) -> Result<Options> {
    // Events name their metrics with dots, of which PromQL knows underscores.
    let mapping = crate::events::mapping(None)?;
    let declared = mapping.metric_names().map(|name| (name.replace('.', "_"), name.to_owned()));
    let mut names: BTreeMap<String, String> = declared.collect();
    names.extend(settings.metrics.iter().cloned());
    Ok(Options {
        names,
        by: settings.by.clone(),
        notify_critical: settings.notify_critical.clone(),
        notify: settings.notify.clone(),
        external_url: settings.external_url.clone(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(line: &str) -> Result<ExportRules, String> {
        match Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?.command {
            Some(Command::ExportRules(settings)) => Ok(settings),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn a_metric_without_its_other_name_and_a_command_without_files_are_refused() {
        for (line, want) in [
            ("weir export-rules", "--datadog"),
            ("weir export-rules --datadog a.yml --metric b", "not of the form NAME=THERE"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn shipped_alerts_are_exported_and_what_is_lost_is_said() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/rules");
        let output = std::env::temp_dir().join(format!("weir-monitors-{}.json", std::process::id()));
        let line = format!(
            "weir export-rules --output {} --metric k8s_pods_failed=k8s.pods.failed --by host --datadog {} {}",
            output.display(),
            folder.join("alerts.yml").display(),
            folder.join("collector.yml").display()
        );
        let settings = parsed(&line).unwrap();
        let losses = run(&settings).unwrap();
        let monitors: Vec<serde_json::Value> =
            serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
        std::fs::remove_file(&output).unwrap();
        let queries: Vec<&str> = monitors.iter().map(|monitor| monitor["query"].as_str().unwrap()).collect();
        assert_eq!(queries[2], "sum(last_1h):sum:business.fraud.detections{*}.as_count() > 100");
        assert_eq!(queries[6], "max(last_5m):max:k8s.pods.failed{*} > 5");
        assert_eq!(queries[8], "min(last_1m):avg:system_cpu_percent{*} by {host} > 80");
        let left_out: Vec<&str> = losses.iter().filter(|l| l.left_out).map(|l| l.alert.as_str()).collect();
        assert_eq!(left_out, ["ServiceResponseTimeIncreasing", "ServiceSilent"]);
    }
}
