//! The beginning of a connection from a load balancer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| graph_relay::listener::oracle::header(input));
