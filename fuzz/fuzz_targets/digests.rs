#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy_herd_fuzz::targets::digests(data));
