//! The Redis module that appends change records to change streams.
