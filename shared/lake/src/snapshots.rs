//! Counts the queries that still read under an older catalog, so that garbage collection spares theirs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Catalog versions in use.
#[derive(Debug, Default)]
pub(crate) struct Snapshots(Mutex<BTreeMap<u64, usize>>);

/// Keeps a version in use until it is dropped.
#[derive(Debug)]
pub(crate) struct SnapshotGuard {
    snapshots: Arc<Snapshots>,
    version: u64,
}

impl Snapshots {
    fn held(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a version into use.
    pub(crate) fn hold(self: &Arc<Self>, version: u64) -> SnapshotGuard {
        *self.held().entry(version).or_insert(0) += 1;
        SnapshotGuard { snapshots: self.clone(), version }
    }

    /// The oldest version in use.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.held().keys().next().copied()
    }
}

impl Drop for SnapshotGuard {
    fn drop(&mut self) {
        let mut held = self.snapshots.held();
        if let Some(count) = held.get_mut(&self.version) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.version);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_in_use_until_its_last_reader_is_done() {
        let snapshots = Arc::new(Snapshots::default());
        let (a, b, c) = (snapshots.hold(3), snapshots.hold(3), snapshots.hold(5));
        drop(a);
        assert_eq!(snapshots.oldest(), Some(3));
        drop(b);
        assert_eq!(snapshots.oldest(), Some(5));
        drop(c);
        assert_eq!(snapshots.oldest(), None);
    }
}
