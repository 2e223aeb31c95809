#![no_main]

use waxwing_core_fuzz::readable::{HeaderOrBody, Readable};

libfuzzer_sys::fuzz_target!(|input: Readable<'_, HeaderOrBody>| {
    let _ = waxwing_core_fuzz::packets::packet_roundtrip(input.0);
});
