//! Builds of the workspace's binaries, as users run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cloud::FUNCTIONS;

/// Runs `cargo build` with these arguments, and answers the executables that it names.
///
/// # Panics
/// When something does not build.
pub(crate) fn executables(arguments: &[&str]) -> Vec<PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    // Cargo describes the test's own package to it; build scripts that look at such variables would take the
    // build for another one than the user's, and do it again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let output = command
        .args(["build", "--message-format", "json-render-diagnostics"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("cargo cannot be started: {error}"));
    assert!(output.status.success(), "cargo build {arguments:?} failed");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?))).collect()
}

/// Builds the functions' binaries; names and paths.
///
/// # Panics
/// When one does not compile.
#[must_use]
pub fn functions() -> Vec<(&'static str, PathBuf)> {
    let packages: Vec<String> =
        FUNCTIONS.iter().flat_map(|name| ["--package".to_owned(), format!("weir-{name}")]).collect();
    let features: Vec<String> = FUNCTIONS.iter().map(|name| format!("weir-{name}/lambda")).collect();
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    let built = executables(&[&["--bins", "--features", &features.join(",")], &packages[..]].concat());
    let named = |path: PathBuf| Some((FUNCTIONS.into_iter().find(|name| path.ends_with(name))?, path));
    let found: Vec<_> = built.into_iter().filter_map(named).collect();
    assert_eq!(found.len(), FUNCTIONS.len(), "cargo named {found:?}");
    found
}
