//! Tests that cross crates: the local stack, faults, real clients.
