//! Lines of the client, one at a time.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| graph_relay::session::oracle::command(input));
