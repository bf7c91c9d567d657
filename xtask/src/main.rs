//! `cargo xtask …`: sets up tools, runs the demo and the tests.

fn main() {}
