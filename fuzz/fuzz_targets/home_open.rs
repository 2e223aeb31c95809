#![no_main]

use waxwing_core_fuzz::readable::Readable;
use waxwing_fuzz::home::Files;

libfuzzer_sys::fuzz_target!(|input: Readable<'_, Files>| {
    let _ = waxwing_fuzz::home::home_open(input.0);
});
