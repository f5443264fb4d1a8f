//! Streams behind DATA, cut in pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| graph_relay::session::oracle::data(input));
