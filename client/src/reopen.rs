//! Letters that were held back, judged again once a changed key is accepted.

use waxwing_core::limits::MAX_PACKET;
use waxwing_core::messenger::{Profile, reopen};
use waxwing_core::phone::Phone;

use crate::backend::rng;
use crate::clock;
use crate::home::{Home, HomeError, HomeProfile};
use crate::session::Account;

/// Judges every letter of `phone` that is held back, and returns how many became letters to be read.
/// Each stays bound to the key that it is signed with: it opens under the pinned one, or waits until
/// its own is accepted, or until the server says whose key is whose.
///
/// # Errors
/// [`HomeError`]; the letters not reached stay held back.
pub fn reopen_held(home: &Home, account: &Account, phone: &Phone) -> Result<usize, HomeError> {
    let mut profile = HomeProfile::new(home, |_| ());
    let (keys, account) = (account.keys(), account.for_messenger());
    let mut room = vec![0; 2 * MAX_PACKET];
    let (mut last, mut opened) = (None, 0);
    loop {
        profile.begin()?;
        let next = reopen(
            &mut profile,
            keys,
            &account,
            &mut room,
            (phone, last),
            false,
            clock::now(),
            &mut rng(),
        );
        let next = next.and_then(|next| profile.commit().map(|()| next));
        match next {
            Ok(Some(reopened)) => {
                last = Some(reopened.row);
                opened += usize::from(reopened.is_open);
            }
            Ok(None) => return Ok(opened),
            Err(error) => {
                profile.roll_back();
                return Err(error);
            }
        }
    }
}
