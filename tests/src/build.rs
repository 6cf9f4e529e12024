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

/// The functions' binaries, names and paths: built here, unoptimised, unless `WEIR_FUNCTIONS` names a folder of
/// builds for Lambda.
///
/// # Panics
/// When one does not compile, or is missing.
#[must_use]
pub fn functions() -> Vec<(&'static str, PathBuf)> {
    if let Some(folder) = std::env::var_os("WEIR_FUNCTIONS") {
        return functions_of(Path::new(&folder));
    }
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

/// The functions' binaries as `infra/lambda/build` leaves them in a folder: `NAME/bootstrap.zip`.
///
/// # Panics
/// When one is missing or damaged.
#[must_use]
pub fn functions_of(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    FUNCTIONS.into_iter().map(|name| (name, unzipped(&folder.join(name).join("bootstrap.zip")))).collect()
}

/// The binary that a zip holds, beside it.
fn unzipped(zip: &Path) -> PathBuf {
    assert!(zip.exists(), "{} is missing: run infra/lambda/build", zip.display());
    let folder = zip.parent().unwrap_or(Path::new("."));
    let script = "import os, sys, zipfile; os.chmod(zipfile.ZipFile(sys.argv[1]).extract('bootstrap', sys.argv[2]), 0o755)";
    let done = Command::new("python3").args(["-c", script]).args([zip, folder]).status();
    assert!(done.is_ok_and(|status| status.success()), "{} cannot be unpacked", zip.display());
    folder.join("bootstrap")
}
