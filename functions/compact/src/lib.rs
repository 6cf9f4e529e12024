//! The compact function: hot segments to blocks, small blocks to larger.
