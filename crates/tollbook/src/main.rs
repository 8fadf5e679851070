//! The `tollbook` binary.

fn main() {}
