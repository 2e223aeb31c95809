#![no_main]

use waxwing_core_fuzz::readable::{Readable, Text};

libfuzzer_sys::fuzz_target!(|input: Readable<'_, Text>| {
    let _ = waxwing_core_fuzz::values::phone_otp(input.0);
});
