//! What is in front of the conversations for a moment.

use waxwing_core::phone::Phone;

use super::Owner;
use super::compare::Compare;
use super::composer::Composer;
use super::list::{List, Listing};
use super::reading::Reading;
use crate::home::Entry;
use crate::phone;
use crate::show::Shown;
use crate::tui::event::Errand;

/// Something in front of the conversations.
#[derive(Debug)]
pub(crate) enum Overlay {
    /// What is only read: which key does what, what was said, what is known of a letter.
    Reading(Reading),
    /// Going to a conversation.
    Jump(Jump),
    /// Looking for letters.
    Search(Search),
    /// Giving somebody a name. While it is being given, nothing else is typed into it.
    Naming { phone: Phone, name: Composer, is_given: bool },
    /// A question before something is done.
    Sure(Sure),
    /// Comparing numbers.
    Compare(Compare),
}

/// A question before something is done. Whoever types a text in haste does not answer it: no letter is an
/// answer, and Enter is a no until somebody has chosen the yes.
#[derive(Debug)]
pub(crate) struct Sure {
    pub(crate) question: Shown,
    /// What is done after a yes.
    pub(crate) errand: Errand,
    /// The answer that is chosen.
    pub(crate) is_yes: bool,
}

impl Sure {
    pub(crate) fn of(question: &str, errand: Errand) -> Overlay {
        Overlay::Sure(Self { question: Shown::line(question), errand, is_yes: false })
    }
}

/// Going to a conversation by a part of its name or number.
#[derive(Debug, Default)]
pub(crate) struct Jump {
    pub(crate) query: Composer,
    pub(crate) chosen: usize,
}

/// Where one can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal<'a> {
    /// A conversation.
    Known(&'a Listing),
    /// Somebody of whom nothing is known.
    New(Phone),
}

impl Jump {
    /// Those that match what is typed. Nobody goes to a conversation with themselves.
    pub(crate) fn goals<'a>(&self, list: &'a List, owner: &Owner) -> Vec<Goal<'a>> {
        let query = self.query.text().trim().to_lowercase();
        let number = phone::is_meant(&query)
            .then(|| phone::read(&query, owner.country.as_ref()).ok())
            .flatten();
        let matches = |one: &&Listing| {
            let name = one.conversation.name.as_deref().unwrap_or_default().to_lowercase();
            number.as_ref() == Some(one.phone())
                || name.contains(&query)
                || one.phone().as_str().contains(&query)
        };
        let others = list.all().iter().filter(|one| *one.phone() != owner.phone);
        let mut goals: Vec<_> = others.filter(matches).map(Goal::Known).collect();
        if let Some(phone) = number
            && phone != owner.phone
            && list.get(&phone).is_none()
        {
            goals.push(Goal::New(phone));
        }
        goals
    }
}

/// Whether somebody has typed their own number.
pub(crate) fn is_own(typed: &str, owner: &Owner) -> bool {
    phone::is_meant(typed)
        && phone::read(typed, owner.country.as_ref()).is_ok_and(|phone| phone == owner.phone)
}

/// Looking for letters by what they say.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub(crate) query: Composer,
    /// In one conversation, or in all.
    pub(crate) with: Option<Phone>,
    /// What was looked for last.
    pub(crate) asked: String,
    pub(crate) found: Vec<Entry>,
    pub(crate) chosen: usize,
}
