//! The archive: the blocks of a day (UTC) that has grown old become one, compressed as much as pays.
//!
//! A large day becomes several blocks, of some hours each. Every merge is one entry of the manifest, and given up if
//! one of its blocks has been replaced meanwhile. What comes late lies in blocks of an hour beside the archived ones
//! until there is enough of it to be worth merging.
//!
//! Their samples may lie in a colder storage class; their series, exemplars and rollups never do.

mod frozen;
mod plan;
mod run;

pub(crate) use frozen::Restores;
pub use run::ArchiveReport;

/// Storage classes by their names, in the manifest and in policies.
pub(crate) mod class_name {
    use serde::{Deserialize, Deserializer, Serializer};
    use weir_platform::StorageClass;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(crate) fn serialize<S: Serializer>(class: &StorageClass, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(class.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StorageClass, D::Error> {
        let name = String::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom(format!("{name:?} is no storage class"));
        StorageClass::by_name(&name).ok_or_else(unknown)
    }
}
