//! The query function: the Prometheus HTTP API over the lake.
