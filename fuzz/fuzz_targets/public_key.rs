#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waxwing_fuzz::keys::public_key(data));
