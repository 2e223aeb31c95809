//! `waxwing delete`.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::ask::YES;
use super::{Console, Place, json_line};
use crate::args::Delete;
use crate::exit::Failure;
use crate::home::{Deleted, Deletion, Home, HomeError};
use crate::show;

pub(super) fn run(
    place: &Place<'_>,
    delete: &Delete,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    delete_in(place, delete, console).map_err(|failure| match failure {
        Failure::Storage(error) => Failure::Storage(error.of_deletion(&place.dir)),
        failure => failure,
    })
}

fn delete_in(place: &Place<'_>, delete: &Delete, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, _) = place.open()?;
    let with = delete.who.as_ref().map(|who| place.find(&home, who, console)).transpose()?;
    let which = which(delete, with, &console.zone)?;
    if !delete.yes {
        make_sure(&home, &which, console)?;
    }
    let deleted = home.delete(&which)?;
    if matches!(which, Deletion::Letter(..)) && deleted == Deleted::default() {
        return Err(Failure::General(
            "no letter of this conversation has this uid; `waxwing history --json` shows it".into(),
        ));
    }
    if matches!(which, Deletion::Letter(..)) && deleted.received + deleted.written == 0 {
        return Err(Failure::General(if deleted.for_programs > 0 {
            format!("this letter is not deleted: {}", show::kept_for_programs(&home, &which, 1)?)
        } else {
            "this letter is not deleted: it waits to be sent, or the server has not answered yet; try \
             again later, or give it up with `waxwing outbox drop` first"
                .to_owned()
        }));
    }
    let shrunk = home.give_back_room();
    let copies: Vec<_> =
        home.older_copies().iter().map(|copy| copy.display().to_string()).collect();
    if delete.json {
        let Deleted { received, written, on_their_way, for_programs, left } = deleted;
        let line = Line { received, written, on_their_way, for_programs, left, shrunk, copies };
        json_line(&line, console)?;
        return is_all(&home, &deleted);
    }
    say(&home, &which, &deleted, console)?;
    if !shrunk {
        writeln!(
            console.remarks,
            "the file in {} has not become smaller, because another waxwing uses it or the disk is \
             full; new letters take the room that is free in it",
            home.dir().display()
        )?;
    }
    for copy in copies {
        writeln!(
            console.remarks,
            "{} is an older copy and still has the letters; remove it if the home works without it",
            copy
        )?;
    }
    is_all(&home, &deleted)
}

fn is_all(home: &Home, deleted: &Deleted) -> Result<(), Failure> {
    match deleted.left {
        0 => Ok(()),
        left => Err(HomeError::FullOfLetters { dir: home.dir().to_owned(), left }.into()),
    }
}

/// Asks, where there is something to delete.
fn make_sure(home: &Home, which: &Deletion, console: &mut Console<'_>) -> Result<(), Failure> {
    let there = home.would_delete(which)?;
    if console.interactive && there.received + there.written == 0 {
        return Ok(());
    }
    let received = letters(there.received);
    let (what, written) = match which {
        Deletion::With(phone, _) | Deletion::Letter(phone, _) => {
            let name = home.conversations().name_of(phone)?;
            let name = name.map_or_else(String::new, |name| format!("{}, ", show::for_line(&name)));
            (format!(" from {name}{}", phone.as_str()), Some(letters(there.written)))
        }
        Deletion::Strangers => (" from strangers".to_owned(), None),
        Deletion::Unreadable => (" that could not be opened".to_owned(), None),
    };
    let written = written.map_or_else(String::new, |written| format!(", and {written} to them"));
    let stay = match there.for_programs {
        0 => String::new(),
        1 => " One more stays, since a program is not done with it.".to_owned(),
        some => format!(" {some} more stay, since a program is not done with them."),
    };
    console.make_sure(&YES, &format!("Delete {received}{what}{written}, for good?{stay} [y/N] "))
}

#[derive(Serialize)]
struct Line {
    received: usize,
    written: usize,
    /// Letters written here without an answer of the server; they stay.
    on_their_way: usize,
    /// Letters that a program is not done with; they stay.
    for_programs: usize,
    /// Letters for whose deletion a full disk has no room.
    left: usize,
    /// Whether the file has become as small as what is in it.
    shrunk: bool,
    /// Copies from before upgrades, which still have the letters.
    copies: Vec<String>,
}

fn say(
    home: &Home,
    which: &Deletion,
    deleted: &Deleted,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let Deleted { received, written, on_their_way, for_programs, .. } = *deleted;
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
            "{} written here {} not deleted, since the server has not answered yet; `waxwing outbox` \
             shows what waits, and can give it up",
            letters(on_their_way),
            if on_their_way == 1 { "is" } else { "are" },
        )?;
    }
    if for_programs > 0 {
        writeln!(
            console.remarks,
            "{} that came {} not deleted: {}",
            letters(for_programs),
            if for_programs == 1 { "is" } else { "are" },
            show::kept_for_programs(home, which, for_programs)?,
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
