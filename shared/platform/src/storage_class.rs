//! Storage classes: what an object costs while it lies there, and whether it can be read at once.

use std::fmt;

/// How an object is kept, by S3's names. What costs less to keep costs more to read, and to delete early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum StorageClass {
    /// Read at once, at no price by the byte.
    #[default]
    Standard,
    /// Read at once, at a price by the byte.
    StandardIa,
    /// Read at once, at a higher price by the byte.
    GlacierIr,
    /// Frozen: read only after a restore of hours.
    Glacier,
    /// Frozen: read only after a restore of half a day and more.
    DeepArchive,
}

impl StorageClass {
    /// All of them, the warmest first.
    pub const ALL: [Self; 5] =
        [Self::Standard, Self::StandardIa, Self::GlacierIr, Self::Glacier, Self::DeepArchive];

    /// Its name in S3.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::StandardIa => "STANDARD_IA",
            Self::GlacierIr => "GLACIER_IR",
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
        }
    }

    /// The class of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// True when an object must be restored before it can be read.
    #[must_use]
    pub fn is_frozen(self) -> bool {
        matches!(self, Self::Glacier | Self::DeepArchive)
    }

    /// Days that an object is paid for at least, however early it is deleted.
    #[must_use]
    pub fn least_days(self) -> i64 {
        match self {
            Self::Standard => 0,
            Self::StandardIa => 30,
            Self::GlacierIr | Self::Glacier => 90,
            Self::DeepArchive => 180,
        }
    }

    /// Hours that a restore takes as a rule (S3's tier `Standard`).
    #[must_use]
    pub fn restore_hours(self) -> u32 {
        match self {
            Self::Standard | Self::StandardIa | Self::GlacierIr => 0,
            Self::Glacier => 5,
            Self::DeepArchive => 12,
        }
    }
}

impl fmt::Display for StorageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a new object lies, and what it is called on a bill.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// Its class.
    pub class: StorageClass,
    /// Its tags: at most ten, of letters, digits, spaces and `+-=._:/@`.
    pub tags: Vec<(&'static str, String)>,
}

/// What became of a request to restore an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// It is being restored: since now, or since an earlier request.
    UnderWay,
    /// It can be read.
    Readable,
}
