//! Real peers from Debian's packages: found, or installed, or (on a laptop without them) done without.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::weir::note;

/// The path of a program out of a Debian package.
///
/// Found on the PATH, else installed where the user may install (root with apt). Where neither works
/// the caller may pass the test by, but never in CI.
///
/// # Panics
/// In CI, when the program cannot be had.
#[must_use]
pub fn debian(program: &str, package: &str) -> Option<PathBuf> {
    let found = || {
        let paths = std::env::var_os("PATH")?;
        std::env::split_paths(&paths).map(|dir| dir.join(program)).find(|path| path.is_file())
    };
    if let Some(path) = found() {
        return Some(path);
    }
    note(&format!("{program} is not installed; trying apt-get install {package}"));
    for args in [&["update", "-qq"][..], &["install", "-y", "-qq", "--no-install-recommends", package][..]] {
        let _ = Command::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status();
    }
    let path = found();
    assert!(
        path.is_some() || std::env::var_os("CI").is_none(),
        "{program} is needed in CI and cannot be installed"
    );
    if path.is_none() {
        note(&format!("without {program} this test shows nothing: install Debian's package {package}"));
    }
    path
}
