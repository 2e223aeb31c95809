#![no_main]

use waxwing_core_fuzz::readable::{Packets, Readable};

libfuzzer_sys::fuzz_target!(|input: Readable<'_, Packets>| {
    let _ = waxwing_core_fuzz::packets::packet_parse(input.0);
});
