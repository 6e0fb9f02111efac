//! Routes over rtnetlink, for one job: many host-gw routes, quickly, and never a stranger's.
//! `batch` applies operations, `dump` shows what is there, `listen` hints that it changed; `neighbour` does the first
//! two for the gateways' neighbour entries.

pub mod batch;
pub mod dump;
mod error;
pub mod listen;
pub mod neighbour;
pub mod record;
#[allow(unsafe_code)]
mod socket;
mod wire;

#[cfg(test)]
#[allow(clippy::expect_used)]
mod testing;

pub use error::Error;
