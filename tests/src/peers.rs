//! Real peers from Debian's packages and from PyPI: found, or installed, or (on a laptop without them) done
//! without.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
    apt_install(package);
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

fn apt_install(package: &str) {
    for args in [&["update", "-qq"][..], &["install", "-y", "-qq", "--no-install-recommends", package][..]] {
        let _ = Command::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status();
    }
}

/// The path of a program out of a package on PyPI, of exactly that version, in a virtual environment of its
/// own that is kept in the user's cache folder.
///
/// Where it cannot be installed the caller may pass the test by, but never in CI.
///
/// # Panics
/// In CI, when the program cannot be had.
#[must_use]
pub fn pypi(program: &str, package: &str, version: &str) -> Option<PathBuf> {
    pypi_with(program, package, version, &[])
}

/// As [`pypi`], with further packages beside it, each as `name==version`.
///
/// # Panics
/// In CI, when the program cannot be had.
#[must_use]
pub fn pypi_with(program: &str, package: &str, version: &str, beside: &[&str]) -> Option<PathBuf> {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = home("XDG_CACHE_HOME").or_else(|| home("HOME").map(|home| home.join(".cache")));
    let folder =
        cache.unwrap_or_else(std::env::temp_dir).join("weir-peers").join(format!("{package}-{version}"));
    let done = folder.join("installed");
    if !done.is_file() {
        note(&format!("installing {package} {version} into {}", folder.display()));
        if !virtual_environment(&folder) {
            apt_install("python3-venv");
            let _ = virtual_environment(&folder);
        }
        let pip = Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", &format!("{package}=={version}")])
            .args(beside)
            .status();
        if pip.is_ok_and(|status| status.success()) {
            let _ = std::fs::write(&done, version);
        }
    }
    let installed = done.is_file();
    assert!(
        installed || std::env::var_os("CI").is_none(),
        "{package} {version} is needed in CI and cannot be installed"
    );
    if !installed {
        note(&format!("without {package} {version} this test shows nothing: it needs python3 and PyPI"));
    }
    installed.then(|| folder.join("bin").join(program))
}

fn virtual_environment(folder: &Path) -> bool {
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder).status();
    made.is_ok_and(|status| status.success())
}

/// A running peer, which ends with the test.
pub struct Peer(Child);

impl Peer {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a peer, its output thrown away.
///
/// # Panics
/// When it cannot be started.
pub fn start(command: &mut Command) -> Peer {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Peer(child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
}

/// Looks ten times a second whether something has come to pass.
///
/// # Panics
/// After so many seconds in vain.
pub fn wait_until(what: &str, seconds: u64, mut ready: impl FnMut() -> bool) {
    for _ in 0..seconds * 10 {
        if ready() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("waited {seconds} s in vain: {what}");
}
