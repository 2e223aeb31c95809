//! `waxwing block` and `waxwing unblock`.

use super::conversations::answer;
use super::{Console, Place};
use crate::args::Person;
use crate::exit::Failure;

pub(super) fn block(
    place: &Place<'_>,
    person: &Person,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, identity) = place.open()?;
    let phone = place.find_other((&home, &identity), &person.who, console)?;
    let words = if home.relations().block(&phone)? {
        format!(
            "is blocked: letters that come from there are discarded, and the sender sees them as \
             delivered; `waxwing unblock {}` ends that",
            phone.as_str()
        )
    } else {
        "was blocked already".to_owned()
    };
    answer(&home, person.json, &phone, &words, console)
}

pub(super) fn unblock(
    place: &Place<'_>,
    person: &Person,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, _) = place.open()?;
    let phone = place.find(&home, &person.who, console)?;
    let words = if home.relations().unblock(&phone)? {
        "is not blocked any more; letters that were discarded do not come back"
    } else {
        "was not blocked"
    };
    answer(&home, person.json, &phone, words, console)
}
