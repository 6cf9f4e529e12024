//! The enrich function: stream batches to hot segments.
