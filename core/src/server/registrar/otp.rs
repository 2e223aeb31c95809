//! One-time passwords alive (PROTOCOL.md, "Registration"). A code and its attempts belong to
//! (phone, reply key): nobody else's request cancels, resets or spends them.

use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashMap;
use subtle::ConstantTimeEq;

use super::super::output::OtpTicket;
use super::super::peer::AddressPrefix;
use crate::crypto::{CryptoRng, Digest, Provider, ReplyKey};
use crate::id::PacketId;
use crate::phone::{Otp, Phone};
use crate::time::Instant;

/// Names an attempt to register without keeping its reply key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt(Digest);

impl Attempt {
    pub(super) fn of<P: Provider>(provider: &P, reply_key: &ReplyKey) -> Self {
        Self(provider.sha256(&[b"waxwing/1:attempt", reply_key.expose()]))
    }
}

/// A salted hash of a code.
#[derive(Debug)]
struct CodeHash {
    salt: [u8; 16],
    hash: Digest,
}

impl CodeHash {
    fn new<P: Provider>(provider: &P, rng: &mut dyn CryptoRng, code: &[u8; Otp::LEN]) -> Self {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        Self { salt, hash: provider.sha256(&[&salt, code]) }
    }

    fn matches<P: Provider>(&self, provider: &P, code: &[u8; Otp::LEN]) -> bool {
        provider.sha256(&[&self.salt, code]).0.ct_eq(&self.hash.0).into()
    }
}

/// A code that is alive.
#[derive(Debug)]
struct LiveOtp {
    attempt: Attempt,
    prefix: AddressPrefix,
    code: CodeHash,
    guesses_left: u8,
    /// The 101s that had a wrong code; no more than there were guesses.
    wrong: Vec<PacketId>,
    expires: Instant,
    ticket: OtpTicket,
    /// The 200, for whoever asks again.
    answer: Arc<[u8]>,
    /// The right code has come and its user is being stored.
    committing: bool,
}

/// A code to be put on the table.
pub(super) struct NewOtp {
    pub(super) attempt: Attempt,
    pub(super) prefix: AddressPrefix,
    pub(super) guesses: u8,
    pub(super) expires: Instant,
    pub(super) ticket: OtpTicket,
    pub(super) answer: Arc<[u8]>,
}

/// How a guess ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// Right; the code is held until [`OtpTable::consume`] or [`OtpTable::give_back`].
    Right,
    Wrong,
    /// Wrong, as it was when the same 101 came before, and not counted again.
    WrongAgain,
    /// No guess is left.
    Spent,
    /// No such code, or no longer.
    Gone,
    /// A right code for the phone came before and is being acted on.
    Busy,
}

/// All codes alive.
#[derive(Debug)]
pub(super) struct OtpTable {
    phones: HashMap<Phone, Vec<LiveOtp>>,
    alive: usize,
    capacity: usize,
}

impl OtpTable {
    /// Codes for one phone alive at once from one address prefix.
    pub(super) const PER_PAIR: usize = 3;

    pub(super) fn new(capacity: usize) -> Self {
        Self { phones: HashMap::new(), alive: 0, capacity }
    }

    /// From now on there is room for so many.
    pub(super) const fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Whether another code fits.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        if self.alive >= self.capacity {
            self.forget_expired(now);
        }
        self.alive < self.capacity
    }

    /// The 200 that this attempt has had already.
    pub(super) fn answer(
        &self,
        phone: &Phone,
        attempt: &Attempt,
        now: Instant,
    ) -> Option<Arc<[u8]>> {
        let live = self.phones.get(phone)?.iter().find(|otp| otp.attempt == *attempt)?;
        (live.expires > now).then(|| live.answer.clone())
    }

    /// Codes alive for this phone that were asked for from this prefix.
    pub(super) fn alive_from(&self, phone: &Phone, prefix: AddressPrefix, now: Instant) -> usize {
        let codes = self.phones.get(phone).map(Vec::as_slice).unwrap_or_default();
        codes.iter().filter(|otp| otp.prefix == prefix && otp.expires > now).count()
    }

    /// Whether this code is on the table.
    pub(super) fn is_alive(&self, phone: &Phone, ticket: OtpTicket) -> bool {
        self.phones.get(phone).is_some_and(|codes| codes.iter().any(|otp| otp.ticket == ticket))
    }

    /// Puts a code on the table.
    pub(super) fn insert<P: Provider>(
        &mut self,
        provider: &P,
        rng: &mut dyn CryptoRng,
        phone: Phone,
        otp: &Otp,
        new: NewOtp,
    ) {
        let NewOtp { attempt, prefix, guesses, expires, ticket, answer } = new;
        let code = CodeHash::new(provider, rng, otp.expose());
        self.phones.entry(phone).or_default().push(LiveOtp {
            attempt,
            prefix,
            code,
            guesses_left: guesses,
            wrong: Vec::new(),
            expires,
            ticket,
            answer,
            committing: false,
        });
        self.alive = self.alive.saturating_add(1);
    }

    /// Counts a guess, then compares. `proof` is the 101 that it comes in: somebody on the network
    /// can play one back, but not make another.
    pub(super) fn guess<P: Provider>(
        &mut self,
        provider: &P,
        phone: &Phone,
        attempt: &Attempt,
        (proof, code): (PacketId, &[u8; Otp::LEN]),
        now: Instant,
    ) -> Guess {
        // Two attempts can hold the right codes for one phone; only one becomes its user.
        let committing =
            self.phones.get(phone).is_some_and(|codes| codes.iter().any(|otp| otp.committing));
        let Some(live) = self.find(phone, attempt) else { return Guess::Gone };
        if committing {
            return Guess::Busy;
        }
        if live.expires <= now {
            return Guess::Gone;
        }
        if live.wrong.contains(&proof) {
            return Guess::WrongAgain;
        }
        let Some(left) = live.guesses_left.checked_sub(1) else { return Guess::Spent };
        live.guesses_left = left;
        if live.code.matches(provider, code) {
            live.committing = true;
            Guess::Right
        } else {
            live.wrong.push(proof);
            Guess::Wrong
        }
    }

    /// The user exists: every code for the phone is over.
    pub(super) fn consume(&mut self, phone: &Phone) {
        let gone = self.phones.remove(phone).map_or(0, |codes| codes.len());
        self.alive = self.alive.saturating_sub(gone);
    }

    /// The right code could not be acted on: nothing is burnt.
    pub(super) fn give_back(&mut self, phone: &Phone, attempt: &Attempt) {
        if let Some(live) = self.find(phone, attempt) {
            live.committing = false;
            live.guesses_left = live.guesses_left.saturating_add(1);
        }
    }

    /// The code did not reach its phone. Says whose it was and from where it was asked for.
    pub(super) fn forget(&mut self, ticket: OtpTicket) -> Option<(Phone, AddressPrefix)> {
        let is_meant = |otp: &LiveOtp| otp.ticket == ticket && !otp.committing;
        let whose = self.phones.iter().find_map(|(phone, codes)| {
            codes.iter().find(|otp| is_meant(otp)).map(|otp| (*phone, otp.prefix))
        });
        self.retain(|otp| !is_meant(otp));
        whose
    }

    /// Drops what has expired.
    pub(super) fn forget_expired(&mut self, now: Instant) {
        self.retain(|otp| otp.expires > now || otp.committing);
    }

    fn retain(&mut self, keep: impl Fn(&LiveOtp) -> bool) {
        self.phones.retain(|_, codes| {
            codes.retain(&keep);
            !codes.is_empty()
        });
        self.alive = self.phones.values().map(Vec::len).fold(0, usize::saturating_add);
    }

    fn find(&mut self, phone: &Phone, attempt: &Attempt) -> Option<&mut LiveOtp> {
        self.phones.get_mut(phone)?.iter_mut().find(|otp| otp.attempt == *attempt)
    }
}
