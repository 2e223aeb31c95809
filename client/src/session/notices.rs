//! What a messenger tells, as remarks to the person.

use waxwing_core::messenger::Notice;

use crate::clock;
use crate::console::Remarks;
use crate::exit::Failure;

/// Writes what a messenger tells to `remarks`. A remark never fails.
pub(super) fn to(mut remarks: Remarks) -> impl FnMut(Notice<'_>) {
    move |notice| {
        let _ = match notice {
            Notice::ClockIsOff(offset_s) => {
                let way = if offset_s > 0 { "behind" } else { "ahead of" };
                let span = clock::span(offset_s.unsigned_abs());
                writeln!(
                    remarks,
                    "this machine's clock is {span} {way} the server's; set it. Until then the \
                     server's time is used"
                )
            }
            Notice::KeyChanged(phone) => writeln!(remarks, "{}", Failure::key_changed(phone)),
            Notice::NotBelieved(phone, conflict) => writeln!(
                remarks,
                "what the server says about the key of {} is not believed: {conflict}",
                phone.as_str()
            ),
            Notice::SessionOpen | Notice::BacklogEnd(_) | Notice::Code(_) | Notice::PhoneTaken => {
                Ok(())
            }
        };
    }
}
