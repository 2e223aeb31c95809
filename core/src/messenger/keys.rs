//! Questions about keys, one at a time, and what the answers do to the pins
//! (PROTOCOL.md, "Directory", "Pinning").

use super::profile::{Contact, Notice, Profile, Reason, Who};
use super::{Account, Cause, Machine, Messenger};
use crate::client::{Env, RefusalNotice, RequestError};
use crate::crypto::{Provider, Spki};
use crate::phone::Phone;
use crate::time::UnixTime;
use crate::wire::{ErrorCode, KeyAnswer, KeyQuestion};

/// Of how many answers that are not believed the person is told, in one connection. A server that
/// lies can name any number of phones.
const TOLD: u8 = 16;
/// Seconds until a phone is asked about again of which the answer was not believed.
const ASK_AGAIN_S: i64 = 30;

/// What is to be stored of an answer about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// The first word about this phone: the key is pinned, with the id.
    Pin,
    /// What was pinned; the id is taken over, and no other key waits any more.
    Confirm,
    /// Another key than the pinned one: it waits, with its id, until a person accepts it. Nothing
    /// is sent to this contact meanwhile.
    Change,
}

/// What an answer about a key comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Judgement {
    /// The profile has stored the key, with this verdict.
    Noted(Verdict),
    /// It is about this account itself, and right.
    Own,
    /// It contradicts what is pinned; nothing was changed.
    Refused(Conflict),
}

/// Why an answer about a key is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Conflict {
    /// The key is somebody else's.
    #[error("the server gives out the key of {} for another phone", .0.as_str())]
    KeyOf(Phone),
    /// The id is somebody else's. There is an honest cause: an id that was given out again.
    #[error("the server gives out the id of {} for another phone", .0.as_str())]
    IdOf(Phone),
    /// The key is the server's own, or is to be.
    #[error("the server gives out its own key for a phone")]
    Server,
    /// The profile does not take the key ([`Profile::may_pin`]).
    #[error("the server gives out a key with a small factor: anybody can compute the private key")]
    WeakKey,
    /// It is about this account's own phone, and the key or id is another.
    #[error("the server gives out a false key or id for this very account")]
    Own,
}

/// Judges whether the answer to a question about a key may be believed, and has the profile store
/// what follows. Between [`Profile::begin`] and [`Profile::commit`].
///
/// # Errors
/// As the profile's.
pub fn judge<S: Profile>(
    profile: &mut S,
    account: &Account<'_>,
    own: &Spki,
    answer: &KeyAnswer,
    now: UnixTime,
) -> Result<Judgement, S::Error> {
    let is_own_phone = account.phone == answer.phone;
    let is_own_key = *own == answer.spki;
    let is_own_id = account.user == Some(answer.user);
    if is_own_phone {
        let is_right = is_own_key && is_own_id;
        return Ok(if is_right { Judgement::Own } else { Judgement::Refused(Conflict::Own) });
    }
    if is_own_key {
        return Ok(Judgement::Refused(Conflict::KeyOf(account.phone)));
    }
    if is_own_id {
        return Ok(Judgement::Refused(Conflict::IdOf(account.phone)));
    }
    if *account.server == answer.spki || profile.is_server_key(&answer.spki)? {
        return Ok(Judgement::Refused(Conflict::Server));
    }
    let is_another = |contact: &&Contact| contact.phone != answer.phone;
    if let Some(other) = profile.contact(Who::Key(&answer.spki))?.filter(is_another) {
        return Ok(Judgement::Refused(Conflict::KeyOf(other.phone)));
    }
    let other = profile.contact(Who::User(answer.user))?.filter(is_another);
    if let Some(other) = other.filter(|other| other.user == Some(answer.user)) {
        return Ok(Judgement::Refused(Conflict::IdOf(other.phone)));
    }
    let verdict = match profile.contact(Who::Phone(&answer.phone))? {
        None => Verdict::Pin,
        Some(contact) if contact.spki == answer.spki => Verdict::Confirm,
        Some(_) => Verdict::Change,
    };
    if verdict != Verdict::Confirm && !profile.may_pin(&answer.spki) {
        return Ok(Judgement::Refused(Conflict::WeakKey));
    }
    profile.note_key(answer, verdict, now)?;
    Ok(Judgement::Noted(verdict))
}

/// What this connection knows of a phone.
#[derive(Clone, Copy)]
pub(super) struct Word {
    phone: Phone,
    /// It is to be asked about.
    wanted: bool,
    /// It was, or is to be.
    asked: bool,
    /// The server has said what its key is, or that it knows none.
    said: bool,
    /// The person was told that an answer about it is not believed.
    told: bool,
    /// The last answer was not believed: until when it stays at that, and why.
    refused: Option<(UnixTime, Conflict)>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const N: usize> Messenger<'_, B, N> {
    fn word(&self, phone: &Phone) -> Option<&Word> {
        self.words.iter().find(|word| word.phone == *phone)
    }

    /// What is known of a phone. When there is no room for another one, what has been known longest
    /// is forgotten: the server may be asked again then.
    fn word_mut(&mut self, phone: &Phone) -> Option<&mut Word> {
        if self.word(phone).is_some() {
            return self.words.find_mut(|word| word.phone == *phone);
        }
        let (wanted, asked, said, told) = (false, false, false, false);
        let word = Word { phone: *phone, wanted, asked, said, told, refused: None };
        self.words.push(word, |word| word.wanted)
    }

    /// Asks about a phone's key, unless that was done on this connection.
    pub fn want_key(&mut self, phone: &Phone) {
        if let Some(word) = self.word_mut(phone)
            && !word.asked
        {
            (word.asked, word.wanted) = (true, true);
        }
    }

    /// Whether the server was asked about a phone's key on this connection, and has answered.
    #[must_use]
    pub fn has_answer(&self, phone: &Phone) -> bool {
        self.was_asked(phone) && !self.is_asking_about(phone)
    }

    /// Whether the server has said on this connection what is true of this phone's key.
    #[must_use]
    pub fn has_word_of(&self, phone: &Phone) -> bool {
        self.word(phone).is_some_and(|word| word.said)
    }

    /// If the last answer about this phone's key was not believed: until when it stays at that, and
    /// why.
    #[must_use]
    pub fn refused_answer(&self, phone: &Phone) -> Option<(UnixTime, Conflict)> {
        self.word(phone).and_then(|word| word.refused)
    }

    pub(super) fn was_asked(&self, phone: &Phone) -> bool {
        self.word(phone).is_some_and(|word| word.asked)
    }

    /// Whether a question about this phone waits for its answer, or to be asked.
    pub(super) fn is_asking_about(&self, phone: &Phone) -> bool {
        matches!(&self.session.question, Some(KeyQuestion::ByPhone(open)) if open == phone)
            || self.word(phone).is_some_and(|word| word.wanted)
    }

    /// The server may be asked once more about a phone of which the answer was not believed some
    /// time ago.
    pub(super) fn forget_refused_answer(&mut self, phone: &Phone, now: UnixTime) {
        if self.refused_answer(phone).is_some_and(|(until, _)| until <= now)
            && let Some(word) = self.words.find_mut(|word| word.phone == *phone)
        {
            (word.refused, word.asked) = (None, false);
        }
    }

    /// What is to be asked next. Phones first: there is one question about each at most, while
    /// letters of unknown people may come without end. Nobody waits for the key that follows the
    /// server's.
    pub(super) fn next_question(&self) -> Option<KeyQuestion> {
        if let Some(word) = self.words.iter().find(|word| word.wanted) {
            return Some(KeyQuestion::ByPhone(word.phone));
        }
        let aside = self.aside.first(None).map(|place| place.sender);
        let sender = aside.or(self.session.waits).map(KeyQuestion::ById);
        sender.or(self.session.wants_successor.then_some(KeyQuestion::Successor))
    }

    #[inline(never)]
    pub(super) fn ask_next_question<P: Provider, C: AsRef<[u8]> + AsMut<[u8]>, const W: usize>(
        &mut self,
        client: &mut Machine<'_, P, C, W>,
        env: &mut Env<'_>,
    ) {
        let is_busy = self.session.question.is_some()
            || self.session.known.is_some()
            || self.session.reopening.is_some();
        let question = self.next_question().filter(|_| !is_busy);
        let Some(question) = question else { return };
        match client.ask_for_key(env, question) {
            Ok(()) => self.session.question = Some(question),
            // What there is no room for now, the next turn asks.
            Err(RequestError::Busy | RequestError::Ended) => return,
            Err(_) => {
                self.session.end = Some(Cause::OwnKey);
                return;
            }
        }
        match question {
            KeyQuestion::ByPhone(phone) => {
                if let Some(word) = self.words.find_mut(|word| word.phone == phone) {
                    word.wanted = false;
                }
            }
            KeyQuestion::Successor => self.session.wants_successor = false,
            KeyQuestion::ById(_) => {}
        }
    }

    pub(super) fn key_answered<S: Profile>(
        &mut self,
        profile: &mut S,
        env: &Env<'_>,
        own: &Spki,
        answer: &KeyAnswer,
    ) -> Result<(), S::Error> {
        let question = self.session.question.take();
        if let Some(word) = self.words.find_mut(|word| word.phone == answer.phone) {
            word.refused = None;
        }
        self.begin(profile, env)?;
        let now = self.server_time(env);
        let mut is_released = false;
        let judged = loop {
            match judge(profile, &self.account, own, answer, now)? {
                Judgement::Refused(Conflict::IdOf(holder)) if !is_released => {
                    // There is an honest cause: the id was given out again. Ask who has it now.
                    profile.release_id(&holder)?;
                    self.want_key(&holder);
                    is_released = true;
                }
                judged => break judged,
            }
        };
        match judged {
            Judgement::Refused(conflict) => self.not_believed(profile, env, answer, conflict),
            Judgement::Own => {}
            Judgement::Noted(verdict) => {
                if verdict == Verdict::Change {
                    profile.notice(Notice::KeyChanged(&answer.phone));
                    profile.seal_again(&answer.phone)?;
                }
                self.server_has_said(&answer.phone);
            }
        }
        if let Some(KeyQuestion::ById(sender)) = question {
            self.session.known = Some(sender);
        }
        Ok(())
    }

    /// What the server says of a phone's key is known: letters held back in doubt are to be read,
    /// are held back for the changed key, or are nobody's.
    fn server_has_said(&mut self, phone: &Phone) {
        if let Some(word) = self.word_mut(phone) {
            word.said = true;
        }
        self.session.reopening = Some((*phone, None));
    }

    /// A key that contradicts what is pinned changes nothing, and the session goes on: a lie about
    /// one person must not keep everybody else's letters.
    fn not_believed<S: Profile>(
        &mut self,
        profile: &mut S,
        env: &Env<'_>,
        answer: &KeyAnswer,
        conflict: Conflict,
    ) {
        let may_tell = self.session.told < TOLD;
        let until = env.now.unix.shifted(ASK_AGAIN_S);
        let Some(word) = self.word_mut(&answer.phone) else { return };
        // Answers about ids name phones that nobody here has asked about.
        if word.asked {
            word.refused = Some((until, conflict));
        }
        if may_tell && !word.told {
            word.told = true;
            self.session.told = self.session.told.saturating_add(1);
            profile.notice(Notice::NotBelieved(&answer.phone, conflict));
        }
    }

    /// The server does not answer the open question.
    pub(super) fn question_refused<S: Profile>(
        &mut self,
        profile: &mut S,
        env: &mut Env<'_>,
        question: KeyQuestion,
        refusal: &RefusalNotice,
    ) -> Result<(), S::Error> {
        let phone = match question {
            KeyQuestion::ById(sender) => {
                self.session.known = Some(sender);
                return Ok(());
            }
            KeyQuestion::ByPhone(phone) => phone,
            KeyQuestion::Successor => return self.no_successor(profile, env, refusal),
        };
        let is_nobody = refusal.code == Some(ErrorCode::UnknownUser);
        if is_nobody {
            self.server_has_said(&phone);
        } else if profile.contact(Who::Phone(&phone))?.is_some() {
            return Ok(());
        }
        // Letters to somebody without a key wait, or never go out.
        self.begin(profile, env)?;
        let why = Reason::Code(refusal.number);
        let mut last = None;
        while let Some(row) = profile.waiting(&phone, last)? {
            last = Some(row);
            if is_nobody {
                profile.refuse(row, why)?;
                continue;
            }
            let pause = self.pause_of(row, refusal.retry_after_s, env.rng);
            profile.postpone(row, env.now.unix.shifted(pause), why)?;
            // Those behind it wait for it.
            break;
        }
        Ok(())
    }
}
