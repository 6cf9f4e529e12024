//! Runs Prometheus' own test scripts against this parser and engine.
//!
//! The scripts are not part of this repository. Point `WEIR_PROMQLTEST_DATA` at promql/promqltest/testdata of
//! a Prometheus checkout; without it these tests pass and say so. How many cases must pass stands in
//! upstream_expected.txt. `WEIR_PROMQLTEST_REPORT` names a file for the list of failing cases.

mod support;

use std::path::{Path, PathBuf};

use support::script::{Command, parse_script};

/// Name and text of each script, by name; `None` when the variable is not set.
fn scripts() -> Option<Vec<(String, String)>> {
    let folder = PathBuf::from(std::env::var_os("WEIR_PROMQLTEST_DATA")?);
    let scripts = read_scripts(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    assert!(!scripts.is_empty(), "{} holds no .test files", folder.display());
    Some(scripts)
}

fn read_scripts(folder: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "test") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            scripts.push((name, std::fs::read_to_string(&path)?));
        }
    }
    scripts.sort();
    Ok(scripts)
}

/// Queries that upstream parses and we refuse, with the reason.
const REFUSED_HERE: [(&str, &str); 2] =
    [("\\xc5", "strings are UTF-8 here"), ("\\xff", "strings are UTF-8 here")];

#[test]
fn every_upstream_query_parses_and_prints_back() {
    let Some(scripts) = scripts() else {
        eprintln!("WEIR_PROMQLTEST_DATA is not set: nothing was run");
        return;
    };
    let mut broken = Vec::new();
    let mut parsed = 0;
    for (name, text) in scripts {
        let commands = parse_script(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for command in commands {
            let Command::Eval(eval) = command else { continue };
            match weir_promql::parse(&eval.query) {
                Ok(expr) => {
                    parsed += 1;
                    let printed = expr.to_string();
                    let again = weir_promql::parse(&printed).map(|e| e.to_string());
                    if again.as_ref() != Ok(&printed) {
                        broken.push(format!(
                            "{name}:{}: {} prints as {printed}: {again:?}",
                            eval.line, eval.query
                        ));
                    }
                }
                Err(_) if REFUSED_HERE.iter().any(|(part, _)| eval.query.contains(part)) => {}
                Err(error) => broken.push(format!("{name}:{}: {}: {error}", eval.line, eval.query)),
            }
        }
    }
    eprintln!("{parsed} upstream queries parse");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Script and the cases of it that must pass.
fn recorded() -> Vec<(&'static str, usize)> {
    let lines = include_str!("upstream_expected.txt").lines().filter(|l| !l.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?.parse().ok()?))
        })
        .collect()
}

#[test]
fn upstream_scripts_give_the_expected_answers() {
    let Some(scripts) = scripts() else {
        eprintln!("WEIR_PROMQLTEST_DATA is not set: nothing was run");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let recorded = recorded();
    let (mut table, mut report, mut worse) = (String::new(), String::new(), Vec::new());
    let (mut passed, mut total) = (0, 0);
    for (name, text) in &scripts {
        let outcome =
            support::run::run_script(&runtime, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let cases = outcome.passed + outcome.failed.len();
        table.push_str(&format!("{name} {} of {cases}\n", outcome.passed));
        for (line, query, reason) in &outcome.failed {
            report.push_str(&format!("{name}:{line}: {query}\n    {reason}\n"));
        }
        let least = recorded.iter().find(|(n, _)| n == name).map_or(0, |(_, least)| *least);
        if outcome.passed < least {
            worse.push(format!("{name}: {} cases pass, {least} did", outcome.passed));
        }
        passed += outcome.passed;
        total += cases;
    }
    eprintln!("{table}{passed} of {total} cases pass");
    if let Some(path) = std::env::var_os("WEIR_PROMQLTEST_REPORT") {
        std::fs::write(path, report).unwrap();
    }
    assert!(worse.is_empty(), "{}", worse.join("\n"));
}

#[test]
fn wrong_answers_are_failed_cases() {
    const SCRIPT: &str = r#"
load 1m
    m{a="x"} 1 2 3
    m{a="y"} 10 20 30
    h {{schema:0 count:3 sum:2 buckets:[1 2]}}

eval instant at 1m m
    m{a="x"} 2
    m{a="y"} 20

eval instant at 1m m
    m{a="x"} 2
    m{a="y"} 21

eval instant at 1m m
    m{a="x"} 2

eval instant at 1m m{a="x"}
    m{a="x"} 2
    m{a="y"} 20

eval instant at 0m h
    h {{schema:0 count:3 sum:2 buckets:[1 2]}}

eval instant at 0m h
    h {{schema:0 count:3 sum:2 buckets:[2 1]}}

eval range from 0m to 2m step 1m sum(m)
    {} 11 22 33

eval range from 0m to 2m step 1m sum(m)
    {} 11 22

eval instant at 1m m
    expect fail

eval instant at 1m m + on() m
    expect fail

eval instant at 1m sort_desc(m)
    expect ordered
    m{a="x"} 2
    m{a="y"} 20

eval instant at 1m quantile(2, m)
    expect no_warn
    {} +Inf

eval instant at 1m quantile(2, m)
    expect warn regex: between 0 and 1
    {} +Inf

eval instant at 1m 1 + 1
    2

eval instant at 1m 1 + 1
    3
"#;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let outcome = support::run::run_script(&runtime, SCRIPT).unwrap();
    let failed: Vec<(usize, &str)> =
        outcome.failed.iter().map(|(line, query, _)| (*line, query.as_str())).collect();
    let want = [
        (11, "m"),
        (15, "m"),
        (18, "m{a=\"x\"}"),
        (25, "h"),
        (31, "sum(m)"),
        (34, "m"),
        (40, "sort_desc(m)"),
        (45, "quantile(2, m)"),
        (56, "1 + 1"),
    ];
    assert_eq!(failed, want);
    assert_eq!(outcome.passed, 6);
}
