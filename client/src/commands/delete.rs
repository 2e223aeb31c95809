//! `waxwing delete`.

use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use waxwing_core::time::UnixTime;

use super::{Console, open};
use crate::args::Delete;
use crate::exit::Failure;
use crate::home::{Deleted, Deletion};

pub(super) fn run(dir: &Path, delete: &Delete, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, _) = open(dir)?;
    let which = which(delete, &console.zone)?;
    let Deleted { received, written, on_their_way } = home.delete(&which)?;
    let written = match which {
        Deletion::With(..) => format!(" and {} written here", letters(written)),
        Deletion::Strangers | Deletion::Unreadable => String::new(),
    };
    writeln!(console.output, "deleted: {} received{written}", letters(received))?;
    if on_their_way > 0 {
        writeln!(
            console.remarks,
            "{} written here stay, since the server has not answered for them yet; `waxwing outbox` \
             shows them and can give them up",
            letters(on_their_way)
        )?;
    }
    if !home.give_back_room() {
        writeln!(
            console.remarks,
            "the file in {} has not become smaller, because another waxwing uses it or the disk is \
             full; new letters take the room that is free in it",
            home.dir().display()
        )?;
    }
    for copy in home.older_copies() {
        writeln!(
            console.remarks,
            "{} is a copy from before an upgrade and still has the letters; remove it if this \
             version of waxwing serves you",
            copy.display()
        )?;
    }
    Ok(())
}

fn which(delete: &Delete, zone: &TimeZone) -> Result<Deletion, Failure> {
    Ok(match (&delete.phone, delete.before) {
        (Some(phone), Some(day)) => Deletion::With(*phone, beginning(day, zone)?),
        (Some(phone), None) => Deletion::With(*phone, UnixTime::from_seconds(i64::MAX)),
        (None, _) if delete.strangers => Deletion::Strangers,
        (None, _) => Deletion::Unreadable,
    })
}

fn beginning(day: Date, zone: &TimeZone) -> Result<UnixTime, Failure> {
    match day.to_zoned_datetime(zone.clone()) {
        Ok(time) => Ok(UnixTime::from_seconds(time.timestamp().as_second())),
        Err(_) => Err(Failure::Usage(format!("the day {day} is too far away"))),
    }
}

fn letters(count: usize) -> String {
    match count {
        1 => "1 letter".to_owned(),
        count => format!("{count} letters"),
    }
}
