//! Whole dialogs, with the listener's decisions.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| graph_relay::session::oracle::session(input));
