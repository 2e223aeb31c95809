#![no_main]

use waxwing_core_fuzz::readable::Readable;
use waxwing_fuzz::settings::Settings;

libfuzzer_sys::fuzz_target!(|input: Readable<'_, Settings>| {
    let _ = waxwing_fuzz::settings::config_keys(input.0);
});
