//! What else may hold something erased: objects that were replaced or never named, metadata, stored exports.

use std::time::Duration;

use super::{Erased, Erasure};
use crate::error::LakeError;
use crate::families;
use crate::keys;
use crate::lake::Lake;
use crate::manifest::{Catalog, Entry};

/// How often, and how long each time, queries of this process that began before are waited for.
const WAITS: usize = 100;
const WAIT: Duration = Duration::from_millis(50);
/// Longer than an export takes, in milliseconds.
const EXPORT_MS: i64 = 3_600_000;

impl Lake {
    /// Deletes every object of the tenant's blocks and metadata that was planned before the erasure and that
    /// the manifest does not name: none of them can be named any more. That is done at once, so that a query
    /// that another process began before may find an object gone, and must be asked again.
    pub(super) async fn delete_leftovers(&self, erasure: &Erasure) -> Result<Erased, LakeError> {
        let version = self.catalog().version;
        let held = || self.snapshots.oldest().is_some_and(|oldest| oldest < version);
        for _ in 0..WAITS {
            if !held() {
                break;
            }
            tokio::time::sleep(WAIT).await;
        }
        if held() {
            tracing::warn!(
                erasure = erasure.number,
                "a query still reads what was erased: the next run deletes it"
            );
            return Ok(Erased::default());
        }
        // First what there is, and then what counts of it: what is committed in between is found.
        let mut objects = self.list_all(&keys::tenant_blocks(&erasure.tenant)).await?;
        objects.extend(self.list_all(&keys::tenant_metadata(&erasure.tenant)).await?);
        self.refresh_for_maintenance().await?;
        let catalog = self.catalog();
        let mut named = hashbrown::HashSet::new();
        if let Some(tenant) = catalog.tenants.get(&erasure.tenant) {
            named.extend(tenant.blocks().flat_map(|block| block.keys()));
            named.extend(tenant.metadata.clone());
        }
        let goes = |key: &String| {
            let planned = match key.starts_with(keys::BLOCKS) {
                true => keys::planned_object(key),
                false => keys::planned_metadata(key),
            };
            !named.contains(key) && planned.is_some_and(|version| version < erasure.number)
        };
        let doomed = objects.into_iter().map(|object| object.key).filter(goes).collect();
        let dropped = self.delete_all(doomed).await?;
        Ok(Erased { examined: dropped, dropped, ..Erased::default() })
    }

    /// Takes out of a tenant's metadata the families whose metrics go whatever their labels.
    pub(super) async fn erase_families(&self, erasure: &Erasure) -> Result<(), LakeError> {
        let _maintenance = self.maintenance.lock().await;
        let catalog = self.catalog();
        let stored = self.stored_families(&erasure.tenant, &catalog).await?;
        if !stored.keys().any(|name| erasure.matches_family(name)) {
            return Ok(());
        }
        let mut left = (*stored).clone();
        left.retain(|name, _| !erasure.matches_family(name));
        let key = keys::metadata(&erasure.tenant, &self.new_name(catalog.version));
        self.bucket.create(&key, families::encode(&key, &left)?).await?;
        let before = |catalog: &Catalog| catalog.tenants.get(&erasure.tenant)?.metadata.clone();
        let known = before(&catalog);
        let entry = |catalog: &Catalog| {
            let metadata = [(erasure.tenant.to_string(), key.clone())].into();
            (before(catalog) == known).then(|| Entry { metadata, ..Entry::default() })
        };
        match self.commit(entry).await? {
            Some(_) => Ok(()),
            None => {
                Err(LakeError::unavailable("others changed the metadata while it was erased; run it again"))
            }
        }
    }

    /// Deletes the tenant's stored exports, copies that can be made again, that may have been begun before
    /// every block had been through the erasure.
    pub(super) async fn erase_exports(&self, erasure: &Erasure) -> Result<Erased, LakeError> {
        let until_ms = erasure.done_ms.map_or(i64::MAX, |done_ms| done_ms.saturating_add(EXPORT_MS));
        let mut exports = self.list_all(&keys::tenant_exports(&erasure.tenant)).await?;
        exports.retain(|object| object.created_ms <= until_ms);
        let dropped = self.delete_all(exports.into_iter().map(|object| object.key).collect()).await?;
        Ok(Erased { examined: dropped, dropped, ..Erased::default() })
    }
}
