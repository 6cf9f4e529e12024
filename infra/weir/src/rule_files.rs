//! `weir check rules` and `weir test rules`: what promtool does for rule files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use weir_rules::{RuleFile, UnitTestFile, duplicates};

use crate::banner::{complain, say};
use crate::cli::{CheckRules, TestRules};

/// promtool's status where rules repeat each other and `--lint-fatal` is on.
const LINT_STATUS: u8 = 3;
/// Most rule files of one unit test.
const MAX_RULE_FILES: usize = 1_000;

/// Checks rule files; the status tells whether all are good.
pub(crate) fn check(settings: &CheckRules) -> ExitCode {
    let (mut failed, mut repeated) = (false, false);
    for path in &settings.files {
        say(&format!("Checking {}", path.display()));
        match read(path) {
            Err(error) => {
                complain(&format!("  FAILED:\n{error:#}\n"));
                failed = true;
            }
            Ok(file) => {
                say(&format!("  SUCCESS: {} rules found", file.rule_count()));
                for found in duplicates([&file]) {
                    let labels = format!("{{{}}}", found.labels);
                    say(&format!("  {}: repeats {}{labels} of {}", found.second, found.name, found.first));
                    repeated = true;
                }
                say("");
            }
        }
    }
    if failed {
        ExitCode::FAILURE
    } else if repeated && settings.lint_fatal {
        ExitCode::from(LINT_STATUS)
    } else {
        ExitCode::SUCCESS
    }
}

/// Runs unit tests of rules; the status tells whether all passed.
pub(crate) fn test(settings: &TestRules) -> ExitCode {
    let mut failed = false;
    for path in &settings.files {
        say(&format!("Unit Testing:  {}", path.display()));
        match run(path) {
            Err(error) => {
                complain(&format!("  FAILED:\n{error:#}\n"));
                failed = true;
            }
            Ok(tests) => say(&format!("  SUCCESS: {tests} tests\n")),
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Reads and checks a rule file.
fn read(path: &Path) -> Result<RuleFile> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(RuleFile::parse(&path.display().to_string(), &text)?)
}

/// Runs one file of unit tests and returns how many passed.
pub(crate) fn run(path: &Path) -> Result<usize> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let tests = UnitTestFile::parse(&text).map_err(|problems| {
        let lines = problems.iter().map(|p| format!("{name}:{}:{}: {}", p.line, p.column, p.message));
        anyhow::Error::msg(lines.collect::<Vec<_>>().join("\n"))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut rules = Vec::new();
    for pattern in &tests.rule_files {
        let found = matching(&folder.join(pattern))?;
        if rules.len() + found.len() > MAX_RULE_FILES {
            bail!("{name}: rule_files name more than {MAX_RULE_FILES} files");
        }
        for path in found {
            rules.push(read(&path)?);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().context("cannot start")?;
    let failures = runtime.block_on(tests.run(&rules));
    if failures.is_empty() {
        return Ok(tests.test_count());
    }
    let lines = failures.iter().map(|failure| match failure.line {
        0 => format!("{name}: {}", failure.message),
        line => format!("{name}:{line}: {}", failure.message),
    });
    bail!("{}", lines.collect::<Vec<_>>().join("\n"))
}

/// The files of a pattern with `*` and `?` in its last part, in order of their names; a path without them
/// stands for itself.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>> {
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.contains(['*', '?']) {
        return Ok(vec![pattern.to_owned()]);
    }
    let folder = match pattern.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        if entry.file_name().to_str().is_some_and(|given| is_like(given.as_bytes(), name.as_bytes())) {
            found.push(entry.path());
        }
    }
    if found.is_empty() {
        bail!("no file is named like {}", pattern.display());
    }
    found.sort();
    Ok(found)
}

/// True when a name fits a pattern of `*` (any bytes) and `?` (one byte).
fn is_like(name: &[u8], pattern: &[u8]) -> bool {
    // A star is tried with as few bytes as possible; only the last one ever needs another try.
    let (mut n, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => (n, p) = (n + 1, p + 1),
            Some(byte) if *byte == name[n] => (n, p) = (n + 1, p + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (n, p) = (taken + 1, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_their_patterns() {
        let rows = [
            ("rules.yml", "*.yml", true),
            ("rules.yaml", "*.yml", false),
            ("a-rules.yml", "*-r*s.y?l", true),
            ("rules.yml", "rules.yml", true),
            ("x", "*", true),
            ("", "*", true),
            ("ab", "a", false),
            ("aaab", "*ab", true),
        ];
        for (name, pattern, want) in rows {
            assert_eq!(is_like(name.as_bytes(), pattern.as_bytes()), want, "{name} {pattern}");
        }
    }
}
