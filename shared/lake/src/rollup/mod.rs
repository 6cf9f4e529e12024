//! Rollups: what is kept of a tenant's samples by the minute, the hour and the day.
//!
//! A rollup is a set of ordinary blocks, one per tier, aggregate and partition of time, whose series keep their
//! labels. The unit of work is a day of UTC, open on the left and closed on the right as every interval is: a
//! day is rolled up for all tiers at once, and again when a block of its samples has a greater generation.

mod columns;
mod cover;
mod read;
mod run;

use weir_model::Tier;

use crate::manifest::RollupPlace;

pub(crate) use cover::cover;
pub use read::{TierReader, TierSelection, TierWish};
pub use run::{RollupProgress, RollupReport, RollupWish};
pub(crate) use run::{is_dirty, is_rollable, sources};

/// Milliseconds of a day of UTC.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The day (since 1970) that a timestamp lies in: its first millisecond belongs to the day before.
pub(crate) fn day_of(at_ms: i64) -> i64 {
    at_ms.saturating_sub(1).div_euclid(DAY_MS)
}

/// Days that one block of a tier holds: few objects in the end, and little to write again for a new day.
pub(crate) fn partition_days(tier: Tier) -> i64 {
    match tier {
        Tier::Minute => 1,
        Tier::Hour => 8,
        Tier::Day => 64,
    }
}

/// The partition that a day (since 1970) lies in.
pub(crate) fn place(tier: Tier, day: i64) -> RollupPlace {
    let days = partition_days(tier);
    (tier, day.div_euclid(days) * days * 24)
}
