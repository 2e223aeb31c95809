//! `waxwing delete`.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::{Console, Place};
use crate::args::Delete;
use crate::exit::Failure;
use crate::home::{Deleted, Deletion};

pub(super) fn run(
    place: &Place<'_>,
    delete: &Delete,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, _) = place.open()?;
    let with = delete.who.as_ref().map(|who| place.find(&home, who, console)).transpose()?;
    let which = which(delete, with, &console.zone)?;
    let deleted = home.delete(&which)?;
    if matches!(which, Deletion::Letter(..)) && deleted == Deleted::default() {
        return Err(Failure::General(
            "no letter of this conversation has this uid; `waxwing history --json` shows it".into(),
        ));
    }
    let Deleted { received, written, on_their_way } = deleted;
    let written = match which {
        Deletion::With(..) | Deletion::Letter(..) => {
            format!(" and {} written here", letters(written))
        }
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

fn which(delete: &Delete, with: Option<Phone>, zone: &TimeZone) -> Result<Deletion, Failure> {
    Ok(match (with, delete.before) {
        (Some(phone), Some(day)) => Deletion::With(phone, beginning(day, zone)?),
        (Some(phone), None) => match delete.letter {
            Some(uid) => Deletion::Letter(phone, uid),
            None => Deletion::With(phone, UnixTime::from_seconds(i64::MAX)),
        },
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
