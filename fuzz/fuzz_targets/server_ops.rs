#![no_main]

use waxwing_core_fuzz::readable::Readable;
use waxwing_fuzz::decisions::Decisions;

libfuzzer_sys::fuzz_target!(|input: Readable<'_, Decisions<'_>>| {
    let _ = waxwing_fuzz::server::server_ops(input.0);
});
