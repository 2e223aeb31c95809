#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use waxwing_core_fuzz::readable::Readable;
use waxwing_fuzz::client::Request;
use waxwing_fuzz::script::ScriptWithBeginning;

fuzz_target!(|input: Readable<'_, ScriptWithBeginning<Request>>| {
    let _ = waxwing_fuzz::client::client_bytes(input.0);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    waxwing_fuzz::mutation::mutate_input::<Request>(data, size, max_size, seed, 1)
});
