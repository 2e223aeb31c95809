//! What an operator can set (PROTOCOL.md, "Limits and timers").

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::limiter::Rate;
use super::shard::Shard;
use crate::limits::MAX_LETTER;
use crate::phone::{Phone, PhonePrefix};

/// The numbers of a server. [`Config::default`] gives those of PROTOCOL.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Largest payload of a letter, in bytes.
    pub max_letter: usize,
    /// How long a letter waits for its recipient.
    pub letter_life: Duration,
    /// Between two searches for what has expired.
    pub expiry_interval: Duration,
    /// How long the fate of an expired letter is remembered.
    pub fate_life: Duration,
    /// Whether the one-time password comes back in the 200, which proves no phone.
    pub otp_in_band: bool,
    /// How long a one-time password lives.
    pub otp_life: Duration,
    /// How long clients are told to wait before they ask for another.
    pub otp_resend: Duration,
    /// Guesses at one password.
    pub otp_attempts: u8,
    /// Who may register.
    pub registration: RegistrationPolicy,
    /// Deadlines of a connection.
    pub deadlines: Deadlines,
    /// What a mailbox holds.
    pub mailbox: MailboxLimits,
    /// How often things may happen.
    pub rates: Rates,
    /// Bytes of half-received packets in all connections together.
    pub half_received_bytes: usize,
    /// One-time passwords alive at once.
    pub live_otps: usize,
}

impl Config {
    /// What one of several machines has of what all of them may have together.
    pub(super) fn share_of(mut self, shard: Shard) -> Self {
        self.half_received_bytes = shard.share_of(self.half_received_bytes);
        self.rates.reconnect_work = self.rates.reconnect_work.share(shard.count());
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_letter: MAX_LETTER,
            letter_life: DAY.saturating_mul(30),
            expiry_interval: Duration::from_secs(60),
            fate_life: DAY.saturating_mul(30),
            otp_in_band: false,
            otp_life: Duration::from_secs(300),
            otp_resend: Duration::from_secs(30),
            otp_attempts: 3,
            registration: RegistrationPolicy::default(),
            deadlines: Deadlines::default(),
            mailbox: MailboxLimits::default(),
            rates: Rates::default(),
            half_received_bytes: 64 * 1_024 * 1_024,
            live_otps: 10_000,
        }
    }
}

/// Who may become a user. It says nothing about those who are users already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationPolicy {
    open: bool,
    /// Empty for all of them.
    countries: Arc<[PhonePrefix]>,
    /// Sorted. `None` for all of them.
    phones: Option<Arc<[Phone]>>,
}

impl RegistrationPolicy {
    /// Beginnings of phones that a policy can name.
    pub const MAX_COUNTRIES: usize = 300;
    /// Phones that a policy can name: more than there can be users.
    pub const MAX_PHONES: usize = 100_000;

    /// Nobody may become a user unless it is `open`. If `countries` is not empty, a phone has to begin
    /// like one of them; if there are `phones`, it has to be one of these. `None` if there are more of
    /// either than a policy can name.
    #[must_use]
    pub fn new(
        open: bool,
        countries: Vec<PhonePrefix>,
        phones: Option<Vec<Phone>>,
    ) -> Option<Self> {
        let many = phones.as_ref().map_or(0, Vec::len);
        if countries.len() > Self::MAX_COUNTRIES || many > Self::MAX_PHONES {
            return None;
        }
        let phones = phones.map(|mut phones| {
            phones.sort_unstable();
            phones.into()
        });
        Some(Self { open, countries: countries.into(), phones })
    }

    /// How many phones it names; `None` if it names none, and any phone may be a user's.
    #[must_use]
    pub fn phone_count(&self) -> Option<usize> {
        self.phones.as_ref().map(|phones| phones.len())
    }

    /// Whether there is a phone with which somebody may become a user.
    #[must_use]
    pub fn allows_anybody(&self) -> bool {
        match &self.phones {
            Some(phones) => phones.iter().any(|phone| self.allows(phone)),
            None => {
                let is_countrys = |prefix: &PhonePrefix| !prefix.is_reserved();
                self.open && (self.countries.is_empty() || self.countries.iter().any(is_countrys))
            }
        }
    }

    /// Whether somebody with this phone may become a user. Accounts of the server itself do not ask.
    pub(super) fn allows(&self, phone: &Phone) -> bool {
        let begins_right =
            self.countries.is_empty() || self.countries.iter().any(|country| country.begins(phone));
        let is_named = self.phones.as_ref().is_none_or(|all| all.binary_search(phone).is_ok());
        self.open && begins_right && is_named && !phone.is_reserved()
    }
}

/// Everybody may.
impl Default for RegistrationPolicy {
    fn default() -> Self {
        Self { open: true, countries: Arc::new([]), phones: None }
    }
}

/// How long a peer may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From connecting, or from the last answer, to the next packet before a session.
    pub first_packet: Duration,
    /// From 201 or 206 to the confirmation.
    pub confirmation: Duration,
    /// From a packet's first byte to its last; in a session for each
    /// [`PROGRESS_BYTES`](crate::limits::PROGRESS_BYTES) of it.
    pub packet: Duration,
    /// From handing a letter over to any acknowledgment, and for each
    /// [`PROGRESS_BYTES`](crate::limits::PROGRESS_BYTES) of it the time of a packet besides.
    pub progress: Duration,
    /// From a client's 222 to the server's.
    pub leaving: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            first_packet: Duration::from_secs(15),
            confirmation: Duration::from_secs(60),
            packet: Duration::from_secs(30),
            progress: Duration::from_secs(120),
            leaving: Duration::from_secs(5),
        }
    }
}

/// What may be pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxLimits {
    /// Letters for one recipient.
    pub letters: u32,
    /// Bytes of packets for one recipient.
    pub bytes: u64,
    /// Letters from one sender to one recipient.
    pub pair_letters: u32,
    /// Bytes of packets from one sender to one recipient.
    pub pair_bytes: u64,
    /// Letters from one sender, in all mailboxes together.
    pub sender_letters: u32,
    /// Bytes of packets from one sender, in all mailboxes together.
    pub sender_bytes: u64,
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self {
            letters: 10_000,
            bytes: 64 * 1_024 * 1_024,
            pair_letters: 1_000,
            pair_bytes: 4 * 1_024 * 1_024,
            sender_letters: 20_000,
            sender_bytes: 128 * 1_024 * 1_024,
        }
    }
}

/// How often things may happen. Those per address prefix skip exempt peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// 100s per address prefix.
    pub registrations: Rate,
    /// 101s per address prefix.
    pub proofs: Rate,
    /// New codes per phone and address prefix.
    pub otps_per_pair: Rate,
    /// New codes per phone.
    pub otps_per_phone: Rate,
    /// New codes on the whole server: each may cost whoever runs it money.
    pub otps: Rate,
    /// Wrong guesses per address prefix.
    pub guesses_per_prefix: Rate,
    /// Wrong guesses on the whole server; beyond it new codes survive one guess only.
    pub guesses: Rate,
    /// 106s per user and address prefix.
    pub reconnects: Rate,
    /// 105s by phone per user.
    pub questions: Rate,
    /// Private-key operations for 100 and 101, on the whole server.
    pub registration_work: Rate,
    /// Private-key operations for 106, on the whole server.
    pub reconnect_work: Rate,
    /// Answers and refusals that one session alone is told; the others wait.
    pub answers: Rate,
    /// Signed refusals per connection.
    pub refusals: Rate,
    /// Status queries per session.
    pub status_queries: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            registrations: Rate::new(10, HOUR),
            proofs: Rate::new(60, HOUR),
            otps_per_pair: Rate::new(3, HOUR),
            otps_per_phone: Rate::new(10, DAY),
            otps: Rate::new(10_000, DAY),
            guesses_per_prefix: Rate::new(15, DAY),
            guesses: Rate::new(1_000, DAY),
            reconnects: Rate::new(60, Duration::from_secs(60)),
            questions: Rate::new(500, DAY),
            registration_work: Rate::new(200, Duration::from_secs(1)),
            reconnect_work: Rate::new(1_000, Duration::from_secs(1)),
            answers: Rate::new(20, Duration::from_secs(1)),
            refusals: Rate::new(20, Duration::from_secs(1)),
            status_queries: Rate::new(1, Duration::from_secs(1)),
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn phone(text: &str) -> Phone {
        Phone::parse(text.as_bytes()).unwrap()
    }

    fn allowed(policy: &RegistrationPolicy, phones: [&str; 4]) -> [bool; 4] {
        phones.map(|text| policy.allows(&phone(text)))
    }

    const PHONES: [&str; 4] = ["+4915112345601", "+4915112345602", "+15550001111", "+441632960001"];

    #[test]
    fn a_policy_is_open_to_all_closed_or_for_some() {
        let country = |text: &str| text.parse::<PhonePrefix>().unwrap();
        let (germany, america) = (country("+49"), country("+1"));
        let named = || Some(vec![phone(PHONES[3]), phone(PHONES[0])]);
        for (policy, expected) in [
            (RegistrationPolicy::new(true, vec![], None), [true; 4]),
            (RegistrationPolicy::new(false, vec![], None), [false; 4]),
            (RegistrationPolicy::new(true, vec![germany], None), [true, true, false, false]),
            (
                RegistrationPolicy::new(true, vec![germany, america], None),
                [true, true, true, false],
            ),
            (RegistrationPolicy::new(true, vec![], named()), [true, false, false, true]),
            (RegistrationPolicy::new(true, vec![germany], named()), [true, false, false, false]),
            (RegistrationPolicy::new(true, vec![], Some(vec![])), [false; 4]),
            (RegistrationPolicy::new(false, vec![germany], named()), [false; 4]),
        ] {
            assert_eq!(allowed(&policy.unwrap(), PHONES), expected);
        }
        assert_eq!(allowed(&RegistrationPolicy::default(), PHONES), [true; 4]);
    }

    #[test]
    fn nobody_gets_a_phone_that_is_reserved() {
        let reserved = phone("+99900000001");
        let named = RegistrationPolicy::new(true, vec![], Some(vec![reserved])).unwrap();
        assert!(!named.allows(&reserved));
        assert!(!RegistrationPolicy::default().allows(&reserved));
    }

    #[test]
    fn a_policy_has_bounds() {
        let countries = |count| vec!["+49".parse::<PhonePrefix>().unwrap(); count];
        let phones = |count| Some(vec![phone(PHONES[0]); count]);
        let (most, many) = (RegistrationPolicy::MAX_COUNTRIES, RegistrationPolicy::MAX_PHONES);
        assert!(RegistrationPolicy::new(true, countries(most), phones(many)).is_some());
        assert!(RegistrationPolicy::new(true, countries(most + 1), None).is_none());
        assert!(RegistrationPolicy::new(true, vec![], phones(many + 1)).is_none());
    }
}
