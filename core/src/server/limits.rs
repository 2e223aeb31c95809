//! Every limit of frequency that is not a connection's own.

use core::time::Duration;

use super::config::Rates;
use super::limiter::{Allowance, Limiter, Rate};
use super::peer::AddressPrefix;
use crate::id::UserId;
use crate::phone::Phone;
use crate::time::Instant;

#[derive(Debug)]
pub(super) struct Limits {
    pub(super) registrations: Limiter<AddressPrefix>,
    pub(super) proofs: Limiter<AddressPrefix>,
    pub(super) otps_per_pair: Limiter<(Phone, AddressPrefix)>,
    pub(super) otps_per_phone: Limiter<Phone>,
    pub(super) otps: Allowance,
    pub(super) otp_alarms: Allowance,
    pub(super) guesses_per_prefix: Limiter<AddressPrefix>,
    pub(super) guesses: Allowance,
    pub(super) reconnects: Limiter<(UserId, AddressPrefix)>,
    pub(super) questions: Limiter<UserId>,
    pub(super) registration_work: Allowance,
    pub(super) reconnect_work: Allowance,
}

impl Limits {
    /// How often the operator hears that something is used up, while it trickles back.
    pub(super) const ALARMS: Rate = Rate::new(1, Duration::from_secs(3_600));

    pub(super) fn new(rates: &Rates) -> Self {
        Self {
            registrations: Limiter::new(rates.registrations),
            proofs: Limiter::new(rates.proofs),
            otps_per_pair: Limiter::new(rates.otps_per_pair),
            otps_per_phone: Limiter::new(rates.otps_per_phone),
            otps: Allowance::default(),
            otp_alarms: Allowance::default(),
            guesses_per_prefix: Limiter::new(rates.guesses_per_prefix),
            guesses: Allowance::default(),
            reconnects: Limiter::new(rates.reconnects),
            questions: Limiter::new(rates.questions),
            registration_work: Allowance::default(),
            reconnect_work: Allowance::default(),
        }
    }

    /// Forgets whoever has nothing taken.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.registrations.sweep(now);
        self.proofs.sweep(now);
        self.otps_per_pair.sweep(now);
        self.otps_per_phone.sweep(now);
        self.guesses_per_prefix.sweep(now);
        self.reconnects.sweep(now);
        self.questions.sweep(now);
    }
}
