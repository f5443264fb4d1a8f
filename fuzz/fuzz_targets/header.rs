//! Messages with their recipients.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| graph_relay::delivery::oracle::header(input));
