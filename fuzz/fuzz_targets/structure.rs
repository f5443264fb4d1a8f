//! Messages taken apart.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| graph_relay::mime::oracle::structure(input));
