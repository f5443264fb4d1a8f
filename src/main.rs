//! graph-relay: see the library's documentation, `src/lib.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    graph_relay::cli::main(std::env::args_os())
}
