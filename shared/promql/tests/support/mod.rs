//! What the tests of this crate share.

#![allow(dead_code)] // each test binary uses its own part

pub(crate) mod expressions;
pub(crate) mod run;
pub(crate) mod script;
