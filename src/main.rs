//! graph-relay.
fn main() {}
