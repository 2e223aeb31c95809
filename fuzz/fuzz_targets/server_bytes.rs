#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use waxwing_core_fuzz::readable::Readable;
use waxwing_fuzz::script::Script;
use waxwing_fuzz::server::Network;

fuzz_target!(|input: Readable<'_, Script<Network>>| {
    let _ = waxwing_fuzz::server::server_bytes(input.0);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    waxwing_fuzz::mutation::mutate_input::<Network>(data, size, max_size, seed, 0)
});
