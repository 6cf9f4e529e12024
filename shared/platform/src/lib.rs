//! Ports (bucket, stream, clock) and their local adapters.
