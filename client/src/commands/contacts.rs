//! `waxwing contacts`.

use std::path::Path;

use super::{Console, open};
use crate::clock;
use crate::exit::Failure;

pub(super) fn run(dir: &Path, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, _) = open(dir)?;
    for contact in home.contacts().all()? {
        let id = contact.user_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let trust = match (&contact.changed, contact.verified) {
            (Some(_), _) => "key changed; letters are held back",
            (None, true) => "verified",
            (None, false) => "not verified",
        };
        writeln!(
            console.output,
            "{:<16}  id {id:<5}  since {}  {trust}",
            contact.phone.as_str(),
            clock::in_zone(contact.first_seen, &console.zone),
        )?;
    }
    Ok(())
}
