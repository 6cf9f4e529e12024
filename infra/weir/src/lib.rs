//! The weir command: the whole stack in one process, and the tools people use.
