//! What another process of a person's does to their profile, between two steps of the messenger.

use std::collections::BTreeSet;

use waxwing_core::client::Env;
use waxwing_core::limits::MAX_PACKET;
use waxwing_core::messenger::{Profile, reopen};
use waxwing_core::phone::Phone;

use super::dice::Dice;
use super::letters::Letters;
use crate::backend::Paper;
use crate::participant::Participant;
use crate::profile::{Received, Says};

/// Does something, unless the messenger is in the middle of a step: what it is.
pub(super) fn act(
    dice: &mut dyn Dice,
    who: usize,
    person: &mut Participant<'_, Paper>,
    letters: &mut Letters,
    env: &mut Env<'_>,
) -> &'static str {
    let Some(stored) = person.profile.from_another_process() else { return "has to wait" };
    match dice.roll(8) {
        0..3 => {
            let open: Vec<_> = stored.outbox.iter().filter(|letter| letter.is_open()).collect();
            if open.is_empty() {
                return "has no letter to give up";
            }
            let letter = open[dice.roll(open.len())];
            let (row, uid) = (letter.row, letter.uid);
            assert!(stored.give_up(row));
            letters.given_up(uid);
            "gives a letter up"
        }
        3 => {
            stored.hurry();
            "tries letters again"
        }
        4 | 5 => {
            let held_back = held_back(person);
            if held_back.is_empty() {
                return "has no key to accept";
            }
            // The process may die before it has judged all letters anew.
            let steps = [usize::MAX, 0, 1][dice.roll(3)];
            accept(person, held_back.iter().nth(dice.roll(held_back.len())).unwrap(), steps, env);
            "accepts a key"
        }
        6 => {
            let Some(phone) = any_contact(dice, person) else { return "knows nobody" };
            let stored = &mut person.profile.stored;
            if !stored.blocked.remove(&phone) {
                stored.blocked.insert(phone);
                letters.blocked(who, phone);
            }
            "blocks somebody, or does not any more"
        }
        _ => {
            let Some(phone) = any_contact(dice, person) else { return "knows nobody" };
            let before = person.profile.stored.clone();
            person.profile.stored.delete_with(&phone);
            letters.deleted(who, &phone, &before, &person.profile.stored);
            "deletes letters"
        }
    }
}

fn any_contact(dice: &mut dyn Dice, person: &Participant<'_, Paper>) -> Option<Phone> {
    let contacts = &person.profile.stored.contacts;
    let at = dice.roll(contacts.len().max(1));
    contacts.get(at).map(|contact| contact.phone)
}

/// People who have another key than the pinned one, or whose letters are held back.
pub(super) fn held_back(person: &Participant<'_, Paper>) -> BTreeSet<Phone> {
    let stored = &person.profile.stored;
    let changed = stored.contacts.iter().filter(|one| one.changed.is_some()).map(|one| one.phone);
    let is_held = |letter: &&Received| matches!(letter.says, Says::Held { .. });
    let held = stored.letters.iter().filter(is_held).filter_map(|letter| letter.from);
    changed.chain(held).collect()
}

/// Accepts a contact's changed key, and judges so many letters anew that were held back.
pub(super) fn accept(
    person: &mut Participant<'_, Paper>,
    phone: &Phone,
    steps: usize,
    env: &mut Env<'_>,
) {
    person.profile.stored.accept_key(phone);
    let account = person.messenger.account().clone();
    let mut room = vec![0; 2 * MAX_PACKET];
    let mut last = None;
    for _ in 0..steps {
        let profile = &mut person.profile;
        if profile.begin().is_err() {
            return;
        }
        let (which, now) = ((phone, last), env.now.unix);
        let next = reopen(profile, person.keys, &account, &mut room, which, false, now, env.rng);
        let next = next.and_then(|next| profile.commit().map(|()| next));
        match next {
            Ok(Some(reopened)) => last = Some(reopened.row),
            Ok(None) => return,
            Err(_) => return profile.roll_back(),
        }
    }
}
