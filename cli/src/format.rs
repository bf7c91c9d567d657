//! How a command prints what it found. It must not know what that is.

use clap::ValueEnum;

/// For whom it prints.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON value, or an object a line where changes are followed.
    Json,
}
