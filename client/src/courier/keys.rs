//! Questions about keys, one at a time, and what the answers do to the pins
//! (PROTOCOL.md, "Directory", "Pinning").

use std::collections::{HashMap, HashSet, VecDeque};

use waxwing_core::client::{RefusalNotice, RequestError};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{ErrorCode, KeyAnswer, KeyQuestion};

use super::Courier;
use super::outbound::RETRY_S;
use crate::backend::rng;
use crate::clock;
use crate::exit::Failure;
use crate::home::{Conflict, Judgement};
use crate::reopen::{Word, reopen_held};

/// Of how many phones the person is told, in one connection, that an answer about them is not
/// believed. A server that lies can name any number.
const TOLD: usize = 16;

/// Questions to be asked, and the one that is open.
#[derive(Default)]
pub(super) struct Questions {
    waiting: VecDeque<KeyQuestion>,
    open: Option<KeyQuestion>,
    /// Phones of which the last answer was refused, until when it stays at that, and why.
    refused: HashMap<Phone, (UnixTime, Conflict)>,
    /// Phones of which the person was told that an answer about them is not believed.
    told: HashSet<Phone>,
    /// Phones of which the server has said on this connection what their key is, or that it knows
    /// none.
    said: HashSet<Phone>,
}

impl Questions {
    pub(super) fn ask(&mut self, question: KeyQuestion) {
        if self.open != Some(question) && !self.waiting.contains(&question) {
            self.waiting.push_back(question);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty()
    }

    /// An answer about this phone was not believed.
    fn refuse(&mut self, phone: &Phone, conflict: Conflict, now: UnixTime) {
        self.refused.insert(*phone, (now.shifted(RETRY_S.into()), conflict));
    }

    /// Whether a refused answer about this phone is old enough to be forgotten, and was.
    fn forget_refused(&mut self, phone: &Phone, now: UnixTime) -> bool {
        let is_over = self.refused.get(phone).is_some_and(|(until, _)| *until <= now);
        is_over && self.refused.remove(phone).is_some()
    }

    /// Whether the server has said on this connection what is true of this phone's key.
    pub(super) fn has_word_of(&self, phone: &Phone) -> bool {
        self.said.contains(phone)
    }

    /// Whether a question about this phone waits for its answer.
    pub(super) fn is_about(&self, phone: &Phone) -> bool {
        let question = KeyQuestion::ByPhone(*phone);
        self.open == Some(question) || self.waiting.contains(&question)
    }
}

impl Courier<'_> {
    /// Asks about a phone's key, unless that was done on this connection.
    pub(super) fn want_key(&mut self, phone: &Phone) {
        if self.session.asked.insert(*phone) {
            self.questions.ask(KeyQuestion::ByPhone(*phone));
        }
    }

    /// Whether the question about a phone was asked on this connection and has its answer.
    pub(super) fn has_answer(&self, phone: &Phone) -> bool {
        self.session.asked.contains(phone) && !self.questions.is_about(phone)
    }

    /// Whether the server has said on this connection what is true of this phone's key.
    pub(super) fn has_word_of(&self, phone: &Phone) -> bool {
        self.questions.has_word_of(phone)
    }

    pub(super) fn ask_next_question(&mut self) -> Result<(), Failure> {
        let Some(link) = &mut self.link else { return Ok(()) };
        if self.questions.open.is_some() {
            return Ok(());
        }
        let Some(question) = self.questions.waiting.front().copied() else { return Ok(()) };
        match link.request(|client, env| client.ask_for_key(env, question)) {
            Ok(()) => {
                self.questions.open = self.questions.waiting.pop_front();
                Ok(())
            }
            // There is no room for it now; the next turn asks.
            Err(RequestError::Busy | RequestError::WrongState) => Ok(()),
            Err(error) => Err(Failure::General(format!("a key cannot be asked for: {error}"))),
        }
    }

    pub(super) fn key_answered(&mut self, answer: &KeyAnswer) -> Result<(), Failure> {
        let question = self.questions.open.take();
        self.questions.refused.remove(&answer.phone);
        let judged = self.home.contacts().judge(answer, self.now())?;
        match judged {
            Judgement::Changed => {
                writeln!(self.remarks, "{}", Failure::key_changed(&answer.phone))?;
                self.home.outbox().seal_again(&answer.phone)?;
                self.server_has_said(&answer.phone)?;
            }
            Judgement::Refused(Conflict::IdOf(holder)) if question.is_some() => {
                // There is an honest cause: the id was given out again. Ask who has it now.
                self.home.contacts().release_id(&holder)?;
                self.want_key(&holder);
                match self.home.contacts().judge(answer, self.now())? {
                    Judgement::Refused(conflict) => self.refuse_answer(answer, conflict),
                    _ => self.server_has_said(&answer.phone)?,
                }
            }
            Judgement::Refused(conflict) => self.refuse_answer(answer, conflict),
            Judgement::Pinned | Judgement::Reverted | Judgement::Unchanged | Judgement::NewId => {
                self.server_has_said(&answer.phone)?;
            }
            Judgement::Own => {}
        }
        if let Some(KeyQuestion::ById(sender)) = question {
            self.sender_known(sender)?;
        }
        Ok(())
    }

    /// What the server says of a phone's key is known: a letter held back in doubt is read, is held
    /// back for the changed key, or is nobody's.
    fn server_has_said(&mut self, phone: &Phone) -> Result<(), Failure> {
        self.questions.said.insert(*phone);
        if let Some(contact) = self.home.contacts().by_phone(phone)? {
            let (identity, key) = (self.account.identity(), &self.account.key);
            let word = Word::OfTheServer;
            reopen_held(self.home, identity, key, &contact, word, &mut rng(), self.now())?;
        }
        Ok(())
    }

    /// A key that contradicts what is pinned changes nothing, and the session goes on: a lie about
    /// one person must not keep everybody else's letters.
    fn refuse_answer(&mut self, answer: &KeyAnswer, conflict: Conflict) {
        let told = &mut self.questions.told;
        if told.len() < TOLD && told.insert(answer.phone) {
            // A remark never fails.
            let _ = writeln!(
                self.remarks,
                "what the server says about the key of {} is not believed: {conflict}",
                answer.phone.as_str()
            );
        }
        // Answers about ids name phones that nobody here has asked about: a server could name any
        // number of them.
        if self.session.asked.contains(&answer.phone) {
            self.questions.refuse(&answer.phone, conflict, clock::now());
        }
    }

    /// If the last answer about this phone's key was refused: until when it stays at that, and why.
    pub(super) fn refused_answer(&self, phone: &Phone) -> Option<&(UnixTime, Conflict)> {
        self.questions.refused.get(phone)
    }

    /// The server may be asked once more about a phone of which an answer was refused some time
    /// ago.
    pub(super) fn forget_refused_answer(&mut self, phone: &Phone) {
        if self.questions.forget_refused(phone, clock::now()) {
            self.session.asked.remove(phone);
        }
    }

    /// Whether a refusal was of the open question, and what follows from it.
    pub(super) fn question_refused(&mut self, refusal: &RefusalNotice) -> Result<bool, Failure> {
        let Some(link) = &self.link else { return Ok(false) };
        // The machine has closed the question when the refusal named it.
        let was_about_it = self.questions.open.is_some() && !link.client.is_asking_for_key();
        let Some(question) = self.questions.open.filter(|_| was_about_it) else {
            return Ok(false);
        };
        self.questions.open = None;
        match question {
            KeyQuestion::ById(sender) => self.sender_known(sender)?,
            KeyQuestion::ByPhone(phone) => {
                let known = self.home.contacts().by_phone(&phone)?.is_some();
                if refusal.code == Some(ErrorCode::UnknownUser) {
                    self.server_has_said(&phone)?;
                }
                if refusal.code == Some(ErrorCode::UnknownUser) || !known {
                    self.cannot_send_to(&phone, refusal)?;
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_answer_is_asked_about_again_after_a_pause_and_not_before() {
        let phone = Phone::parse(b"+4915112345601").unwrap();
        let other = Phone::parse(b"+4915112345602").unwrap();
        let at = |seconds: i64| UnixTime::from_seconds(1_795_000_000 + seconds);
        let mut questions = Questions::default();
        assert!(!questions.forget_refused(&phone, at(0)));
        questions.refuse(&phone, Conflict::Server, at(0));
        assert!(!questions.forget_refused(&phone, at(29)));
        assert!(!questions.forget_refused(&other, at(30)));
        assert!(questions.refused.contains_key(&phone));
        assert!(questions.forget_refused(&phone, at(30)));
        assert!(questions.refused.is_empty());
        // Once: the next answer is judged anew.
        assert!(!questions.forget_refused(&phone, at(31)));
    }
}
