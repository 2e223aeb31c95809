//! What the courier does for a screen.

use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use crate::backend::rng;
use crate::clock;
use crate::courier::Hands;
use crate::exit::Failure;
use crate::home::{Deletion, Home, HomeError, ItemId, Naming, Writing};
use crate::name::Name;
use crate::session::Account;
use crate::show;
use crate::trust;
use crate::tui::event::{Errand, Event, Number};

/// Carries an errand. What there is to say about it, if anything.
pub(in crate::tui) fn carry(
    errand: Errand,
    hands: &Hands<'_, '_>,
    receipts: bool,
) -> Option<Event> {
    let Hands { home, account, .. } = hands;
    let done = match errand {
        Errand::Send { to, text } => return send(home, &to, text),
        Errand::Draft { with, text } => {
            let kept = home.conversations().set_draft(&with, &text);
            return kept.err().map(|error| Event::DraftNotKept { with, text, why: brief(&error) });
        }
        Errand::Read { with, to } => read(home, &with, to, receipts),
        // Strangers may have sent more than is kept of them.
        Errand::TellDiscarded => match home.letters().take_discarded() {
            Ok(letters) if letters.is_empty() => Ok(None),
            Ok(letters) => return Some(Event::Discarded(letters)),
            Err(error) => Err(error.into()),
        },
        Errand::Delete(with, letter) => delete(home, with, letter),
        Errand::Accept(phone) => accept(home, &phone),
        Errand::Block(phone, is_blocked) => block(home, &phone, is_blocked),
        Errand::Archive(phone, away) => archive(home, &phone, away),
        Errand::Mute(phone, is_muted) => mute(home, &phone, is_muted),
        Errand::Pin(phone, is_pinned) => {
            home.conversations().pin(&phone, is_pinned).map(|()| None).map_err(Failure::from)
        }
        Errand::Unread(phone) => {
            home.conversations().mark_unread(&phone).map(|_| None).map_err(Failure::from)
        }
        Errand::Name(phone, name) => {
            let given = give_name(home, account, &phone, name.as_ref());
            let refused = given.err().map(|failure| failure.to_string());
            return Some(Event::Named { with: phone, refused });
        }
        // The courier has a way of its own for them.
        Errand::AskKey(_) | Errand::Hurry => Ok(None),
        Errand::Compared(phone, number) => compared(home, &phone, &number),
        Errand::AcceptKey(phone, number) => accept_key(home, &phone, &number),
    };
    match done {
        Ok(words) => words.map(Event::Done),
        Err(failure) => Some(Event::Failed(failure.to_string())),
    }
}

/// Why the home has not taken something. The rows below a conversation are few.
fn brief(error: &HomeError) -> String {
    match error {
        HomeError::Full { .. } => "the disk is full; make room on it".to_owned(),
        error => error.to_string(),
    }
}

type Said = Result<Option<String>, Failure>;

fn said(words: String) -> Said {
    Ok(Some(words))
}

fn send(home: &Home, to: &Phone, text: String) -> Option<Event> {
    let failed = |why: String| Some(Event::NotSent { to: *to, text: text.clone(), why });
    let writing = match Writing::text(text.clone()) {
        Ok(writing) => writing,
        Err(error) => return failed(error.to_string()),
    };
    if let Err(error) = home.outbox().queue(&Uid::generate(&mut rng()), to, &writing, clock::now())
    {
        return failed(brief(&error));
    }
    // The letter is safe; an old draft beside it is a small harm.
    let _ = home.conversations().set_draft(to, "");
    None
}

fn read(home: &Home, with: &Phone, to: ItemId, receipts: bool) -> Said {
    let letters = home.conversations().mark_read(with, to)?;
    if receipts {
        home.queue_receipts(&letters, || Uid::generate(&mut rng()), clock::now())?;
    }
    Ok(None)
}

fn delete(home: &Home, with: Phone, letter: Uid) -> Said {
    let which = Deletion::Letter(with, letter);
    let deleted = home.delete(&which)?;
    if deleted.for_programs > 0 {
        let why = show::kept_for_programs(home, &which, 1)?;
        return Err(Failure::General(format!("this letter is not deleted: {why}")));
    }
    if deleted.on_their_way > 0 {
        return Err(Failure::General(
            "this letter is not deleted: it waits to be sent, or the server has not answered yet; \
             `waxwing outbox drop` gives it up"
                .into(),
        ));
    }
    said("deleted here".to_owned())
}

fn accept(home: &Home, phone: &Phone) -> Said {
    home.relations().accept(phone)?;
    said(format!("{} is accepted", show::person_in(home, phone)?))
}

fn block(home: &Home, phone: &Phone, is_blocked: bool) -> Said {
    if is_blocked {
        home.relations().block(phone)?;
        said(format!(
            "{} is blocked; who goes to them still finds them",
            show::person_in(home, phone)?
        ))
    } else {
        home.relations().unblock(phone)?;
        said(format!("{} is not blocked any more", show::person_in(home, phone)?))
    }
}

fn archive(home: &Home, phone: &Phone, away: bool) -> Said {
    let is_new = home.conversations().archive(phone, away)?;
    said(match (is_new, away) {
        (false, _) => return Ok(None),
        (true, true) => "archived, until something new is said".to_owned(),
        (true, false) => "not archived any more".to_owned(),
    })
}

fn mute(home: &Home, phone: &Phone, is_muted: bool) -> Said {
    let until = if is_muted { UnixTime::from_seconds(i64::MAX) } else { UnixTime::from_seconds(0) };
    let is_there = home.conversations().mute(phone, until)?;
    if is_there { Ok(None) } else { Err(Failure::no_conversation(phone)) }
}

fn give_name(
    home: &Home,
    account: &Account,
    phone: &Phone,
    name: Option<&Name>,
) -> Result<(), Failure> {
    if account.identity().phone == *phone {
        return Err(Failure::Usage("this is your own phone number".into()));
    }
    let Some(name) = name else {
        home.conversations().remove_name(phone)?;
        return Ok(());
    };
    match home.conversations().set_name(phone, name)? {
        Naming::Given => Ok(()),
        Naming::Taken { by, name } => Err(Failure::Usage(format!(
            "this name is that of {}, or looks like it: {name}; choose another",
            by.as_str()
        ))),
    }
}

/// Both see the number of this key.
fn compared(home: &Home, phone: &Phone, number: &Number) -> Said {
    if number.is_changed {
        trust::accept(home, phone, &number.key)?;
    }
    trust::mark_compared(home, phone, &number.key)?;
    trust::release_held(home, phone)?;
    said(format!("compared: it is {} who has this key", show::person_in(home, phone)?))
}

fn accept_key(home: &Home, phone: &Phone, number: &Number) -> Said {
    trust::accept(home, phone, &number.key)?;
    trust::release_held(home, phone)?;
    said(format!("the new key of {} is used from now on", show::person_in(home, phone)?))
}
