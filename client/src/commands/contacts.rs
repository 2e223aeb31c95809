//! `waxwing contacts`.

use std::collections::BTreeSet;

use super::{Console, Place, json_line};
use crate::clock;
use crate::exit::Failure;
use crate::home::Home;
use crate::show::{self, ContactLine};

pub(super) fn run(place: &Place<'_>, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, _) = place.open_to_read()?;
    if json {
        return ContactLine::all(&home)?.iter().try_for_each(|line| json_line(line, console));
    }
    print(&home, console)
}

fn print(home: &Home, console: &mut Console<'_>) -> Result<(), Failure> {
    let blocked: BTreeSet<_> = home.relations().blocked()?.into_iter().collect();
    let names = home.conversations().names()?;
    let name_of = |phone| names.get(&phone).map(|name| format!("  {}", show::for_line(name)));
    for contact in home.contacts().all()? {
        let id = contact.user_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let blocked = if blocked.contains(&contact.phone) { "; blocked" } else { "" };
        let trust = match (&contact.changed, contact.verified) {
            (Some(_), _) => "key changed; letters are held back until `waxwing verify` accepts it",
            (None, true) => "verified",
            (None, false) => "not verified",
        };
        writeln!(
            console.output,
            "{:<16}  id {id:<5}  since {}  {trust}{blocked}{}",
            contact.phone.as_str(),
            clock::in_zone(contact.first_seen, &console.zone),
            name_of(contact.phone).unwrap_or_default(),
        )?;
    }
    for phone in home.contacts().without_key()? {
        let blocked = if blocked.contains(&phone) { "  blocked" } else { "" };
        writeln!(
            console.output,
            "{:<16}  no key is known{blocked}{}",
            phone.as_str(),
            name_of(phone).unwrap_or_default()
        )?;
    }
    Ok(())
}
