//! The rule files that Weir ships.

use crate::{RuleFile, RuleFileError};

/// The shipped rule files, by name.
const SHIPPED: [(&str, &str); 6] = [
    ("aggregates.yml", include_str!("../../../infra/config/rules/aggregates.yml")),
    ("alerts.yml", include_str!("../../../infra/config/rules/alerts.yml")),
    ("business.yml", include_str!("../../../infra/config/rules/business.yml")),
    ("collector.yml", include_str!("../../../infra/config/rules/collector.yml")),
    ("deployments.yml", include_str!("../../../infra/config/rules/deployments.yml")),
    ("kpi.yml", include_str!("../../../infra/config/rules/kpi.yml")),
];

/// Reads the shipped rule files.
///
/// # Errors
/// [`RuleFileError`] when one is damaged, which a test rules out.
pub fn shipped() -> Result<Vec<RuleFile>, RuleFileError> {
    SHIPPED.iter().map(|(name, text)| RuleFile::parse(name, text)).collect()
}
