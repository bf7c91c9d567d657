//! Holds no code: this package exists for its test `jobs.rs`, whose snapshots lie beside it.
