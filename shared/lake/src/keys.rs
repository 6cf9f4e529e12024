//! Where objects lie in the bucket: every key the lake writes is built and read here.

use weir_model::{Moment, TenantId};
use weir_platform::{SequenceNumber, ShardId};

use crate::manifest::RollupMeta;

/// Milliseconds of an hour, the span of a block.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// Prefix of the hot segments.
pub(crate) const HOT: &str = "hot/";
/// Prefix of the manifest's entries and checkpoints.
pub(crate) const MANIFEST: &str = "manifest/";
/// Prefix of the manifest's checkpoints; sorts after every entry.
pub(crate) const CHECKPOINTS: &str = "manifest/checkpoint-";
/// Prefix of the blocks.
pub(crate) const BLOCKS: &str = "blocks/";

/// Prefix of the changes of retention policies.
pub(crate) const RETENTION: &str = "retention/";

/// Prefix of the changes of one scope: a tenant, or all tenants (the empty name).
pub(crate) fn retention_prefix(scope: &str) -> String {
    if scope.is_empty() { format!("{RETENTION}all/") } else { format!("{RETENTION}tenant={scope}/") }
}

/// A change of a retention policy.
pub(crate) fn retention(scope: &str, number: u64) -> String {
    format!("{}{number:020}.json", retention_prefix(scope))
}

/// Scope and number of a change's key.
pub(crate) fn parse_retention(key: &str) -> Option<(String, u64)> {
    let (folder, name) = key.strip_prefix(RETENTION)?.split_once('/')?;
    let scope = if folder == "all" { "" } else { folder.strip_prefix("tenant=")? };
    Some((scope.to_owned(), name.strip_suffix(".json")?.parse().ok()?))
}

/// Prefix of one shard's segments.
pub(crate) fn shard_prefix(shard: ShardId) -> String {
    format!("{HOT}shard={}/", shard.0)
}

/// A segment, named by the first sequence number it covers.
pub(crate) fn segment(shard: ShardId, first: SequenceNumber) -> String {
    format!("{HOT}shard={}/{first:078}.seg", shard.0)
}

/// Shard and first sequence number of a segment's key.
pub(crate) fn parse_segment(key: &str) -> Option<(ShardId, SequenceNumber)> {
    let (shard, name) = key.strip_prefix(HOT)?.strip_prefix("shard=")?.split_once('/')?;
    let first = name.strip_suffix(".seg").filter(|digits| digits.len() == 78)?;
    Some((ShardId(shard.parse().ok()?), first.parse().ok()?))
}

/// A manifest entry.
pub(crate) fn entry(version: u64) -> String {
    format!("{MANIFEST}{version:020}.json")
}

/// Version of a manifest entry's key.
pub(crate) fn parse_entry(key: &str) -> Option<u64> {
    key.strip_prefix(MANIFEST)?.strip_suffix(".json").filter(|d| d.len() == 20)?.parse().ok()
}

/// A checkpoint of the manifest.
pub(crate) fn checkpoint(version: u64) -> String {
    format!("{CHECKPOINTS}{version:020}.json")
}

/// Version of a checkpoint's key.
pub(crate) fn parse_checkpoint(key: &str) -> Option<u64> {
    key.strip_prefix(CHECKPOINTS)?.strip_suffix(".json")?.parse().ok()
}

/// The objects of a block: samples, series and exemplars. `hour` counts hours since 1970.
pub(crate) fn block(tenant: &TenantId, hour: i64, id: &str) -> [String; 3] {
    let (day, of_day) = (hour.div_euclid(24), hour.rem_euclid(24));
    let folder = format!("{BLOCKS}tenant={tenant}/res=raw/day={}/hour={of_day:02}", date(day));
    ["samples", "series", "exemplars"].map(|table| format!("{folder}/{table}-{id}.parquet"))
}

/// The objects of an archived block, whose samples may be of any hour of the day that `hour` lies in: of the
/// hour after the last one, so that paths have the same parts, which SQL engines ask for.
pub(crate) fn archived_block(tenant: &TenantId, hour: i64, id: &str) -> [String; 3] {
    let folder = format!("{BLOCKS}tenant={tenant}/res=raw/day={}/hour=24", date(hour.div_euclid(24)));
    ["samples", "series", "exemplars"].map(|table| format!("{folder}/{table}-{id}.parquet"))
}

/// The objects of a block of a rollup, which has no exemplars; `hour` is the first of its partition.
pub(crate) fn rollup_block(tenant: &TenantId, rollup: &RollupMeta, hour: i64, id: &str) -> [String; 3] {
    let (tier, aggregate) = (rollup.tier.name(), rollup.aggregate.name());
    let day = date(hour.div_euclid(24));
    let folder = format!("{BLOCKS}tenant={tenant}/res={tier}/agg={aggregate}/day={day}");
    ["samples", "series", "exemplars"].map(|table| format!("{folder}/{table}-{id}.parquet"))
}

/// What is known of a tenant's metric families as of one manifest version.
pub(crate) fn metadata(tenant: &TenantId, id: &str) -> String {
    format!("metadata/tenant={tenant}/{id}.json")
}

/// The id of a block of samples as they came: in order of writes before that of names, so that SQL, which sees no
/// manifest, finds the latest write of a sample in the block of the greatest id, whatever was written again since.
pub(crate) fn raw_id(generation: u64, name: &str) -> String {
    format!("{generation:012}-{name}")
}

/// The manifest version under which a block of that id was planned; see [`Lake::new_name`](crate::Lake).
pub(crate) fn planned(id: &str) -> Option<u64> {
    let mut numbers = id.split('-').rev().skip(2);
    numbers.next()?.parse().ok()
}

/// The same of a tenant's metadata object, by its key.
pub(crate) fn planned_metadata(key: &str) -> Option<u64> {
    planned(key.rsplit('/').next()?)
}

/// The same of any of a block's objects, by its key.
pub(crate) fn planned_object(key: &str) -> Option<u64> {
    planned(key.rsplit('/').next()?.split_once('-')?.1)
}

/// Prefix of a tenant's blocks.
pub(crate) fn tenant_blocks(tenant: &TenantId) -> String {
    format!("{BLOCKS}tenant={tenant}/")
}

/// Prefix of a tenant's metadata objects.
pub(crate) fn tenant_metadata(tenant: &TenantId) -> String {
    format!("metadata/tenant={tenant}/")
}

/// Prefix of a tenant's stored exports.
pub(crate) fn tenant_exports(tenant: &TenantId) -> String {
    format!("exports/tenant={tenant}/")
}

/// Prefix of what is in quarantine.
pub(crate) const QUARANTINE: &str = "quarantine/";

/// Prefix of what erasures wrote down of the blocks they looked at, and of their last reports.
pub(crate) fn erasures(tenant: &TenantId) -> String {
    format!("erasures/tenant={tenant}/")
}

/// The last report of an erasure.
pub(crate) fn erasure_report(tenant: &TenantId, number: u64) -> String {
    format!("{}{number:012}.json", erasures(tenant))
}

/// Prefix of an erasure's lists of blocks that hold nothing of it.
pub(crate) fn erasure_looked(tenant: &TenantId, number: u64) -> String {
    format!("{}{number:012}/", erasures(tenant))
}

/// A record that could not be decoded: `extension` is `bin` for its bytes, `json` for the reason.
pub(crate) fn quarantine(shard: ShardId, sequence: SequenceNumber, extension: &str) -> String {
    format!("quarantine/shard={}/{sequence:078}.{extension}", shard.0)
}

/// A damaged object set aside: its key and the hash of its bytes, under the folder of what is in quarantine.
pub(crate) fn set_aside(key: &str, hash: u64, extension: &str) -> String {
    format!("quarantine/{key}-{hash:016x}.{extension}")
}

/// The calendar date of a day since 1970, `YYYY-MM-DD`.
pub(crate) fn date(day: i64) -> String {
    let Moment { year, month, day, .. } = Moment::from_unix(day.saturating_mul(86_400));
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use weir_model::{Aggregate, Tier};

    #[test]
    fn keys_never_change_and_read_back() {
        let at = (ShardId(3), "49590338271490256608559692538361571095921575989136588898".parse().unwrap());
        let key = segment(at.0, at.1);
        assert_eq!(
            key,
            "hot/shard=3/000000000000000000000049590338271490256608559692538361571095921575989136588898.seg"
        );
        assert_eq!(parse_segment(&key), Some(at));
        assert_eq!(entry(5), "manifest/00000000000000000005.json");
        assert_eq!(parse_entry(&entry(5)), Some(5));
        assert_eq!(parse_entry(&checkpoint(5)), None);
        assert_eq!(parse_checkpoint(&checkpoint(64)), Some(64));
        assert_eq!(planned("000000000007-00000000000000aa-000001"), Some(7));
        assert_eq!(planned(&raw_id(3, "000000000007-00000000000000aa-000001")), Some(7));
        assert_eq!(planned_object("a/b/samples-000000000003-000000000007-aa-000001.parquet"), Some(7));
        assert_eq!(planned_object("a/b/samples-000000000007-00000000000000aa-000001.parquet"), Some(7));
        assert_eq!(planned_metadata("metadata/tenant=t/000000000007-aa-000001.json"), Some(7));
        assert!(entry(u64::MAX) < checkpoint(0), "checkpoints are listed after the entries");
        let [samples, series, exemplars] = block(&TenantId::default(), -1, "x");
        assert_eq!(samples, "blocks/tenant=default/res=raw/day=1969-12-31/hour=23/samples-x.parquet");
        assert_eq!(series, "blocks/tenant=default/res=raw/day=1969-12-31/hour=23/series-x.parquet");
        assert_eq!(exemplars, "blocks/tenant=default/res=raw/day=1969-12-31/hour=23/exemplars-x.parquet");
    }

    #[test]
    fn archived_blocks_lie_beside_the_hours_of_their_day() {
        let [samples, ..] = archived_block(&TenantId::default(), 20_778 * 24 + 5, "x");
        assert_eq!(samples, "blocks/tenant=default/res=raw/day=2026-11-21/hour=24/samples-x.parquet");
    }

    #[test]
    fn rollups_have_folders_of_their_own() {
        let rollup = RollupMeta { tier: Tier::Hour, aggregate: Aggregate::Sum, days: BTreeMap::new() };
        let [samples, ..] = rollup_block(&TenantId::default(), &rollup, 20_778 * 24, "x");
        assert_eq!(samples, "blocks/tenant=default/res=1h/agg=sum/day=2026-11-21/samples-x.parquet");
    }

    #[test]
    fn days_become_dates_of_any_age() {
        let rows = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (20_778, "2026-11-21"),
            (-719_162, "0001-01-01"),
            (-719_528, "0000-01-01"),
        ];
        for (day, want) in rows {
            assert_eq!(date(day), want, "day {day}");
        }
        // The farthest timestamps there are still have a date.
        assert!(date(i64::MAX / HOUR_MS / 24).ends_with("-08-17"));
        assert!(!date(i64::MIN / HOUR_MS / 24).is_empty());
    }
}
