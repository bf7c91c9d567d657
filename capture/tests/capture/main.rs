//! The module in real servers, one private server or two for each test.
//!
//! | file | what it shows |
//! |---|---|
//! | `support.rs` | a server, commands as text, records as text |
//! | `changes.rs` | which record each kind of write gives |
//! | `types.rs` | keys of all types, large ones, JSON |
//! | `databases.rs` | other databases, flushes, swaps, moves |
//! | `units.rs` | write and record are one unit, for a replica, for the AOF, after a SIGKILL |
//! | `rules.rs` | what survives what, and what is refused |
//! | `replicas.rs` | who captures, and in which epoch |
//! | `reading.rs` | `WB.READ` gives what XRANGE gives |
//! | `snapshots.rs` | the keys that are there as records, in slices, among live changes |
//! | `cluster.rs` | servers of a Redis Cluster, while slots move and servers fail |
//! | `failures.rs` | records that cannot be appended, memory that is full |

// Each with `cfg(test)`, so that clippy knows helpers for tests.
#[cfg(test)]
mod changes;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod databases;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod support;
#[cfg(test)]
mod types;
#[cfg(test)]
mod units;
