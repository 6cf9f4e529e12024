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
