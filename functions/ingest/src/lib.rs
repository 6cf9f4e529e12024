//! The ingest function: HTTP bodies in every dialect to stream records.
