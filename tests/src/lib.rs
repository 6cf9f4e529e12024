//! What tests across crates share: a running `weir`, a small HTTP client, and peers from Debian.

pub mod answers;
pub mod body;
pub mod build;
pub mod cloud;
pub mod fleet;
pub mod http;
pub mod peers;
pub mod prometheus;
pub mod random;
pub mod usage;
pub mod weir;

pub use http::Reply;
pub use prometheus::Prometheus;
pub use random::Random;
pub use weir::Weir;
