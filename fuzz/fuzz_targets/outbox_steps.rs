#![no_main]

use waxwing_core_fuzz::readable::Readable;
use waxwing_fuzz::outbox::OutboxSteps;

libfuzzer_sys::fuzz_target!(|input: Readable<'_, OutboxSteps>| {
    let _ = waxwing_fuzz::outbox::outbox_steps(input.0);
});
