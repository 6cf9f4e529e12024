//! Wire formats in: one module per format, bytes to a batch.
