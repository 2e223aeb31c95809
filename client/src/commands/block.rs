//! `waxwing block` and `waxwing unblock`.

use std::path::Path;

use waxwing_core::phone::Phone;

use super::{Console, open};
use crate::exit::Failure;

pub(super) fn block(dir: &Path, phone: &Phone, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, identity) = open(dir)?;
    if identity.phone == *phone {
        return Err(Failure::Usage("this is your own phone number".into()));
    }
    let phone_text = phone.as_str();
    if home.relations().block(phone)? {
        writeln!(
            console.output,
            "{phone_text} is blocked: letters that come from there are discarded, and the sender \
             sees them as delivered; `waxwing unblock {phone_text}` ends that"
        )?;
    } else {
        writeln!(console.output, "{phone_text} was blocked already")?;
    }
    Ok(())
}

pub(super) fn unblock(dir: &Path, phone: &Phone, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, _) = open(dir)?;
    let phone_text = phone.as_str();
    if home.relations().unblock(phone)? {
        writeln!(
            console.output,
            "{phone_text} is not blocked any more; letters that were discarded do not come back"
        )?;
    } else {
        writeln!(console.output, "{phone_text} was not blocked")?;
    }
    Ok(())
}
