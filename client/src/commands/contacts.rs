//! `waxwing contacts`.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Console, open_to_read};
use crate::clock;
use crate::exit::Failure;

pub(super) fn run(dir: &Path, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, _) = open_to_read(dir)?;
    let mut blocked: BTreeSet<_> = home.relations().blocked()?.into_iter().collect();
    for contact in home.contacts().all()? {
        let id = contact.user_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let blocked = if blocked.remove(&contact.phone) { "; blocked" } else { "" };
        let trust = match (&contact.changed, contact.verified) {
            (Some(_), _) => "key changed; letters are held back until `waxwing verify` accepts it",
            (None, true) => "verified",
            (None, false) => "not verified",
        };
        writeln!(
            console.output,
            "{:<16}  id {id:<5}  since {}  {trust}{blocked}",
            contact.phone.as_str(),
            clock::in_zone(contact.first_seen, &console.zone),
        )?;
    }
    for phone in blocked {
        writeln!(console.output, "{:<16}  no key is known  blocked", phone.as_str())?;
    }
    Ok(())
}
