#![no_main]

use waxwing_core_fuzz::readable::{Bytes, Readable};

libfuzzer_sys::fuzz_target!(|input: Readable<'_, Bytes>| {
    let _ = waxwing_fuzz::private_key::private_key(input.0);
});
