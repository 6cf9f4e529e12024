//! What linters say of template.yaml, and of what CloudFormation is given once it is translated: nothing.
//!
//! cfn-lint knows the services' own schemas and limits, but has left SAM aside since 1.54, and so sees more in
//! the translated template; checkov looks for what is unsafe. Exceptions stand beside the resources, with
//! their reasons, and in .checkov.yaml.

use std::path::{Path, PathBuf};
use std::process::Command;

use weir_tests::{cloud, peers};

const CFN_LINT: &str = "1.58.0";
const CHECKOV: &str = "3.3.30";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a linter, which ends well only when it has found nothing.
fn finds_nothing(command: &mut Command) {
    let output = command.current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn cfn_lint_finds_nothing_in_the_template_nor_in_what_it_becomes() {
    let Some(lint) = peers::pypi("cfn-lint", "cfn-lint", CFN_LINT) else { return };
    finds_nothing(Command::new(&lint).arg("template.yaml"));
    let Some(python) = cloud::python() else { return };
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    let translated = folder.path().join("translated.json");
    finds_nothing(
        Command::new(python).args(["tests/emulator/translate.py", "template.yaml"]).arg(&translated),
    );
    finds_nothing(Command::new(lint).arg(&translated));
}

#[test]
fn checkov_finds_nothing_that_has_no_reason() {
    let Some(checkov) = peers::pypi("checkov", "checkov", CHECKOV) else { return };
    finds_nothing(Command::new(checkov).args(["--file", "template.yaml"]));
}
