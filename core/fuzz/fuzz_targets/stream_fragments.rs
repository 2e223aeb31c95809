#![no_main]

use waxwing_core_fuzz::readable::{Readable, Split};

libfuzzer_sys::fuzz_target!(|input: Readable<'_, Split>| {
    let _ = waxwing_core_fuzz::packets::stream_fragments(input.0);
});
