//! What is declared about metric families: kept per tenant in one object that compaction renews.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use weir_model::{Metadata, MetricKind, TenantId};

use crate::error::LakeError;
use crate::head::Families;
use crate::lake::Lake;
use crate::manifest::Catalog;

/// The stored families of each tenant that was asked for, with the object they came from.
#[derive(Debug, Default)]
pub(crate) struct FamilyCache(Mutex<HashMap<TenantId, (String, Arc<Families>)>>);

/// A family as the object stores it.
#[derive(Serialize, Deserialize)]
struct StoredFamily {
    family: String,
    kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    unit: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    help: String,
}

/// The object's bytes.
pub(crate) fn encode(key: &str, families: &Families) -> Result<Bytes, LakeError> {
    let stored: Vec<StoredFamily> = families
        .values()
        .map(|m| StoredFamily {
            family: m.family.clone(),
            kind: m.kind.name().to_owned(),
            unit: m.unit.clone(),
            help: m.help.clone(),
        })
        .collect();
    serde_json::to_vec(&stored).map(Bytes::from).map_err(|error| LakeError::damaged(key, error))
}

fn decode(key: &str, bytes: &[u8]) -> Result<Families, LakeError> {
    let stored: Vec<StoredFamily> =
        serde_json::from_slice(bytes).map_err(|error| LakeError::damaged(key, error))?;
    let read = |s: StoredFamily| {
        let kind = MetricKind::from_name(&s.kind).unwrap_or_default();
        (s.family.clone(), Metadata { family: s.family, kind, unit: s.unit, help: s.help })
    };
    Ok(stored.into_iter().map(read).collect())
}

/// What is declared about the family of a metric: by its own name, or by that without the suffix of a
/// histogram's, summary's or counter's part.
pub(crate) fn of_metric<'a>(families: &'a Families, metric: &str) -> Option<&'a Metadata> {
    families.get(metric).or_else(|| {
        let parts = ["_bucket", "_sum", "_count", "_total"];
        parts.iter().find_map(|part| families.get(metric.strip_suffix(part)?))
    })
}

impl Lake {
    /// The families that a tenant's object holds as of `catalog`.
    pub(crate) async fn stored_families(
        &self,
        tenant: &TenantId,
        catalog: &Catalog,
    ) -> Result<Arc<Families>, LakeError> {
        let Some(key) = catalog.tenants.get(tenant).and_then(|t| t.metadata.clone()) else {
            return Ok(Arc::default());
        };
        let cached = {
            let cache = self.families.0.lock().unwrap_or_else(PoisonError::into_inner);
            cache.get(tenant).filter(|(from, _)| *from == key).map(|(_, families)| families.clone())
        };
        if let Some(families) = cached {
            return Ok(families);
        }
        let families = Arc::new(decode(&key, &self.bucket.get(&key).await?)?);
        let mut cache = self.families.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(tenant.clone(), (key, families.clone()));
        Ok(families)
    }

    /// What senders declared about metric families, by ascending name: of `family` only when one is
    /// given, and at most `limit`.
    ///
    /// # Errors
    /// [`LakeError`] when the bucket fails or the object is damaged.
    pub async fn metadata(
        &self,
        tenant: &TenantId,
        family: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Metadata>, LakeError> {
        self.refresh_for_query().await?;
        let (catalog, _guard, hot) = {
            let state = self.state();
            let guard = self.snapshots.hold(state.catalog.version);
            let hot = state.head.tenant(tenant).map(|t| match family {
                None => t.families.clone(),
                Some(name) => {
                    t.families.get_key_value(name).map(|(n, m)| (n.clone(), m.clone())).into_iter().collect()
                }
            });
            (state.catalog.clone(), guard, hot.unwrap_or_default())
        };
        let stored = self.stored_families(tenant, &catalog).await?;
        if let Some(name) = family {
            let found = hot.get(name).or_else(|| stored.get(name));
            return Ok(found.into_iter().take(limit).cloned().collect());
        }
        let mut all = hot;
        for (name, metadata) in stored.iter() {
            if !all.contains_key(name) {
                all.insert(name.clone(), metadata.clone());
            }
        }
        Ok(all.into_values().take(limit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> Families {
        let of = |family: &str, kind| Metadata {
            family: family.into(),
            kind,
            unit: "seconds".into(),
            help: "How long \"it\" took".into(),
        };
        [of("took", MetricKind::Histogram), of("up", MetricKind::Gauge)].map(|m| (m.family.clone(), m)).into()
    }

    #[test]
    fn families_survive_a_round_trip() {
        let bytes = encode("k", &families()).unwrap();
        assert_eq!(decode("k", &bytes).unwrap(), families());
        assert!(decode("k", b"{").is_err());
    }

    #[test]
    fn parts_of_a_histogram_belong_to_its_family() {
        let families = families();
        for (metric, want) in [
            ("took", Some("took")),
            ("took_bucket", Some("took")),
            ("took_sum", Some("took")),
            ("up", Some("up")),
            ("up_bucket_bucket", None),
            ("_sum", None),
        ] {
            assert_eq!(of_metric(&families, metric).map(|m| m.family.as_str()), want, "{metric}");
        }
    }
}
