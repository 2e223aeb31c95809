#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waxwing_core_fuzz::values::timestamp(data));
