//! What an operator asks of a shard, and who waits for the answers.
//!
//! Whoever asks has a channel of their own for each answer. If they wait no more, the answer goes
//! nowhere; if the shard ends first, the channel is disconnected.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use waxwing_core::crypto::{Provider, Spki};
use waxwing_core::id::UserId;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::server::storage::OwnLimits;
use waxwing_core::server::{Administered, AdministrationError, Env, Report, Server, SessionPage};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::Successor;

use super::bans::BanCounts;
use super::configuration::Reconfiguration;
use super::deliveries::Deliveries;
use super::draining::Drain;
use super::event_counts::EventCounts;
use crate::config::AddressRange;
use crate::histogram::Times;
use crate::offer::Offer;
use crate::otp::{Failing, MOST_WAYS, TestAnswer, WayNumber};
use crate::store::Ban;

/// Something that an operator asks of a shard.
#[derive(Debug)]
pub enum Request {
    /// Its state. It is answered when the turn ends.
    Report(Sender<ShardReport>),
    /// Another configuration. It is taken when the turn has ended.
    Configure(Reconfiguration),
    /// The sessions of users behind this one, or from the first on.
    Sessions(Option<UserId>, Sender<SessionPage>),
    /// Ends the session of a user. Whether there was one.
    EndSession(UserId, Sender<bool>),
    /// Of the registrar: an account of the server itself is to be there, with this phone and key.
    Enrol(Phone, Box<Spki>, Sender<Administration>),
    /// Removes a user.
    RemoveUser(UserId, Sender<Administration>),
    /// Sends all sessions away, evenly over a time, and accepts nobody.
    Drain(Drain, Sender<()>),
    /// Takes that back. Who wants connections to be accepted again has to open listeners besides.
    Undrain(Sender<()>),
    /// Has the letters of a mailbox expire that were accepted before a moment.
    ExpireLetters(UserId, UnixTime, Sender<Administration>),
    /// Keeps a user out, until a moment or for good, and why.
    Suspend(UserId, Option<UnixTime>, Arc<str>, Sender<Administration>),
    /// Lets a user in again.
    Resume(UserId, Sender<Administration>),
    /// Gives a user limits of their own.
    SetLimits(UserId, OwnLimits, Sender<Administration>),
    /// Of the registrar: sends a code that proves nothing.
    TestCode {
        /// To whom.
        phone: Phone,
        /// By which way.
        number: WayNumber,
        /// Hears of the end.
        answer: TestAnswer,
    },
    /// Some of the bans behind that of this range, or from the first on; and whether there are more.
    Bans(Option<AddressRange>, Sender<(Vec<Ban>, bool)>),
    /// What is to be known before a range is banned, or its ban ends.
    AboutRange(AddressRange, Sender<AboutRange>),
    /// Serves nobody from some addresses any more. How many connections from there have ended.
    Ban(Ban, Sender<usize>),
    /// Serves a range of addresses again.
    EndBan(AddressRange, Sender<()>),
    /// Announces the key that is to follow the server's, or that none is.
    Announce(Option<Box<Successor>>, Sender<()>),
    /// One of these, unless whoever asked has taken it back.
    Offered(Offer, Box<Self>),
    /// Goes on with another key, which waits for the shard in a channel of its own.
    Succeed,
}

/// What is to be known before a range is banned, or its ban ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AboutRange {
    /// Its ban, if there is one.
    pub ban: Option<Ban>,
    /// How many bans there are.
    pub counts: BanCounts,
    /// Exempt addresses, and those of proxies.
    pub spared: Vec<AddressRange>,
}

/// How it went with something that was to be done to a user, or why it was not begun.
pub type Administration = Result<Administered, AdministrationError>;

/// The state of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardReport {
    /// That of its machine.
    pub machine: Report,
    /// What 99 of 100 turns of the last one or two minutes took at most, to a factor of two.
    pub turn_p99: Option<Duration>,
    /// Bytes that new letters may still take up, where that can be said.
    pub free_disk: Option<u64>,
    /// So little is free that letters for absent recipients are refused (`storage.min_free_disk`).
    pub disk_is_low: bool,
    /// How long all turns took.
    pub turns: Times,
    /// What has happened since the start.
    pub events: EventCounts,
    /// How many ranges of addresses are banned.
    pub bans: BanCounts,
    /// The server stops.
    pub stops: bool,
    /// The ways on which the last code did not get through; the registrar alone knows of any.
    pub failing_ways: [Option<Failing>; MOST_WAYS],
}

/// The requests that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct Requests {
    reports: Vec<Sender<ShardReport>>,
    configurations: Vec<Reconfiguration>,
    administrations: HashMap<UserId, Sender<Administration>>,
}

impl Requests {
    /// A request has come: it is answered now, or later.
    pub(super) fn take<P: Provider>(
        &mut self,
        request: Request,
        (server, deliveries): (&mut Server<P>, &mut Deliveries),
        env: &mut Env<'_>,
    ) {
        let now = env.now.instant;
        match request {
            Request::TestCode { phone, number, answer } => {
                let code = Otp::generate(env.rng);
                deliveries.test((&phone, &code), number, answer, now);
            }
            Request::Report(answer) => self.reports.push(answer),
            Request::Configure(next) => self.configurations.push(next),
            Request::Sessions(after, answer) => {
                let _ = answer.send(server.operator().sessions(after, now));
            }
            Request::EndSession(user, answer) => {
                let _ = answer.send(server.operator().end_session(env, user));
            }
            Request::Enrol(phone, spki, answer) => {
                match server.operator().enrol(env, phone, &spki) {
                    Ok(user) => self.begun(user, Ok(()), answer),
                    Err(error) => _ = answer.send(Err(error)),
                }
            }
            Request::RemoveUser(user, answer) => {
                let begun = server.operator().remove_user(env, user);
                self.begun(user, begun, answer);
            }
            Request::Suspend(user, until, reason, answer) => {
                let begun = server.operator().suspend(env, user, until, reason);
                self.begun(user, begun, answer);
            }
            Request::Resume(user, answer) => {
                let begun = server.operator().resume(env, user);
                self.begun(user, begun, answer);
            }
            Request::SetLimits(user, limits, answer) => {
                let begun = server.operator().set_limits(env, user, limits);
                self.begun(user, begun, answer);
            }
            Request::Drain(Drain { over, .. }, answer) => {
                server.operator().drain(env, over);
                let _ = answer.send(());
            }
            Request::Undrain(answer) => {
                server.operator().stop_draining();
                let _ = answer.send(());
            }
            Request::ExpireLetters(user, before, answer) => {
                let begun = server.operator().expire_letters(env, user, before);
                self.begun(user, begun, answer);
            }
            Request::Announce(successor, answer) => {
                server.operator().announce(successor.map(|successor| *successor));
                let _ = answer.send(());
            }
            // These are about connections, which a machine does not have, or about what waits elsewhere.
            Request::Bans(..)
            | Request::AboutRange(..)
            | Request::Ban(..)
            | Request::EndBan(..)
            | Request::Offered(..)
            | Request::Succeed => {}
        }
    }

    fn begun(
        &mut self,
        user: UserId,
        begun: Result<(), AdministrationError>,
        answer: Sender<Administration>,
    ) {
        match begun {
            Ok(()) => {
                self.administrations.insert(user, answer);
            }
            Err(error) => {
                let _ = answer.send(Err(error));
            }
        }
    }

    /// Something has ended that was to be done to a user.
    pub(super) fn administered(&mut self, user: UserId, outcome: Administered) {
        if let Some(answer) = self.administrations.remove(&user) {
            let _ = answer.send(Ok(outcome));
        }
    }

    /// The configurations that have come, the newest last.
    pub(super) fn configurations(&mut self) -> Vec<Reconfiguration> {
        std::mem::take(&mut self.configurations)
    }

    /// The turn has ended.
    pub(super) fn report(&mut self, report: impl FnOnce() -> ShardReport) {
        if self.reports.is_empty() {
            return;
        }
        let report = report();
        for answer in self.reports.drain(..) {
            let _ = answer.send(report);
        }
    }
}
