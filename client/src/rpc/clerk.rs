//! What serves one program in one account: its requests, one after the other, and what it is told of.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use serde_json::Value;
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;

use super::Office;
use super::inbox::{Inbox, Work};
use super::message::{self, Read};
use super::methods::{self, Class, Method, Reply};
use super::outgoing::{Outgoing, Stop, Voice};
use super::params::Params;
use super::refusal::Refusal;
use super::subscription::Subscription;
use super::values;
use crate::backend::rng;
use crate::clock;
use crate::courier::{Connection, KeyWord};
use crate::exit::Failure;
use crate::home::{Home, HomeError, Identity, LetterId};
use crate::who::Who;

/// Calls that may wait at once.
const WAITS: usize = 16;
/// Requests that are one change of the home.
const GROUP: usize = 64;

/// What serves one program in one account.
pub(super) struct Clerk<'a> {
    pub(super) office: &'a Office,
    /// The name of the account, if the program has to name it.
    account: Option<&'a str>,
    pub(super) home: Rc<Home>,
    pub(super) identity: Identity,
    /// Something is in the outbox that the courier was not told of.
    pub(super) has_sent: bool,
    connection: Connection,
    /// Calls that wait, with the ids of their answers.
    waits: Vec<(Option<Value>, Wait)>,
    subscription: Option<Subscription>,
}

/// What a call waits for.
pub(super) enum Wait {
    /// Letters.
    Letters {
        /// Whose.
        consumer: String,
        /// How many at most.
        limit: usize,
        /// For how long.
        until: Instant,
    },
    /// What the server says about somebody's key. The courier knows how long that may take.
    Key(Phone),
}

impl Wait {
    const fn until(&self) -> Option<Instant> {
        match self {
            Self::Letters { until, .. } => Some(*until),
            Self::Key(_) => None,
        }
    }
}

/// What came of a request.
type Outcome = Result<Reply, Refusal>;

impl<'a> Clerk<'a> {
    pub(super) fn open(office: &'a Office, account: Option<&'a str>) -> Result<Self, Failure> {
        let home = Rc::new(Home::open(&office.dir)?);
        let identity = home.identity()?.filter(|identity| identity.user_id().is_some());
        let identity = identity.ok_or_else(Failure::not_registered)?;
        Ok(Self {
            office,
            account,
            home,
            identity,
            has_sent: false,
            connection: Connection::Begun,
            waits: Vec::new(),
            subscription: None,
        })
    }

    /// Serves the program until it has nothing more to say.
    ///
    /// # Errors
    /// [`Stop`] when that was not the reason.
    pub(super) fn serve(&mut self, inbox: &Inbox, outgoing: &Outgoing) -> Result<(), Stop> {
        let voice = Voice { outgoing, inbox, account: self.account };
        loop {
            let soonest = self.waits.iter().filter_map(|(_, wait)| wait.until()).min();
            let work = inbox.take(soonest);
            if work.is_over {
                return Err(Stop::Gone);
            }
            let is_at_end = work.is_at_end;
            self.work(work, &voice)?;
            if is_at_end {
                return self.end_waits(&voice);
            }
        }
    }

    fn work(&mut self, work: Work, voice: &Voice<'_>) -> Result<(), Stop> {
        if let Some(connection) = work.connection {
            self.connection = connection;
            if self.subscription.as_ref().is_some_and(Subscription::has_connection) {
                voice.tell("connection", self.connection())?;
            }
        }
        let mut rest = &work.requests[..];
        while !rest.is_empty() {
            let len = rest.iter().take(GROUP).take_while(|request| is_grouped(request)).count();
            let (now, later) = rest.split_at(len.max(1));
            let outcomes = if len > 1 { self.group(now) } else { self.each(now) };
            for (request, outcome) in now.iter().zip(outcomes) {
                self.answer(request, outcome, voice)?;
            }
            rest = later;
        }
        if std::mem::take(&mut self.has_sent) {
            self.office.wake();
        }
        self.answer_waits(&work.keys, voice)?;
        self.office.tell_discarded(&self.home);
        if let Some(subscription) = &mut self.subscription {
            subscription.tell(&self.home, voice)?;
        }
        Ok(())
    }

    fn call(&mut self, request: &Read) -> Outcome {
        // What is no request has its answer already.
        let Ok(request) = request else { return Ok(Reply::Now(Value::Null)) };
        let method = methods::find(&request.method)?;
        if method.class == Class::Trust && !self.office.allow_trust {
            return Err(not_allowed(method));
        }
        let params = Params::check(method.params, request.params.clone())?;
        (method.run)(self, &params)
    }

    fn each(&mut self, requests: &[Read]) -> Vec<Outcome> {
        requests.iter().map(|request| self.call(request)).collect()
    }

    /// Several requests as one change of the home; when that cannot be stored, each by itself.
    fn group(&mut self, requests: &[Read]) -> Vec<Outcome> {
        let home = self.home.clone();
        let done = home.together(|| {
            let mut outcomes = Vec::with_capacity(requests.len());
            for request in requests {
                match self.call(request) {
                    // The database may have taken everything back by itself, so nothing more is done.
                    Err(refusal) if refusal.is_storage() => return Err(Undone),
                    outcome => outcomes.push(outcome),
                }
            }
            Ok(outcomes)
        });
        done.unwrap_or_else(|Undone| self.each(requests))
    }

    fn answer(&mut self, request: &Read, outcome: Outcome, voice: &Voice<'_>) -> Result<(), Stop> {
        let (id, outcome) = match request {
            Err(unusable) => (Some(&unusable.id), Err(unusable.refusal.clone())),
            Ok(request) => (request.id.as_ref(), outcome),
        };
        let result = match outcome {
            Ok(Reply::Now(value)) => Ok(value),
            Ok(Reply::Later(_)) if self.waits.len() == WAITS => {
                let why = format!("more than {WAITS} calls wait; let some of them end");
                Err(Failure::Usage(why).into())
            }
            Ok(Reply::Later(wait)) => {
                self.waits.push((id.cloned(), wait));
                return Ok(());
            }
            Err(refusal) => Err(refusal),
        };
        say(id, &result, voice)
    }

    /// Answers the calls that have waited for what is there now, or for long enough.
    fn answer_waits(
        &mut self,
        keys: &BTreeMap<Phone, KeyWord>,
        voice: &Voice<'_>,
    ) -> Result<(), Stop> {
        for (id, wait) in std::mem::take(&mut self.waits) {
            let result = match &wait {
                Wait::Letters { consumer, limit, until } => {
                    let letters = self.next_letters(consumer, *limit);
                    let is_early = matches!(&letters, Ok(letters) if letters.is_empty())
                        && Instant::now() < *until;
                    (!is_early).then(|| letters.map(Value::from))
                }
                Wait::Key(phone) => keys.get(phone).map(|word| self.key_by_word(phone, word)),
            };
            match result {
                Some(result) => say(id.as_ref(), &result, voice)?,
                None => self.waits.push((id, wait)),
            }
        }
        Ok(())
    }

    /// Answers the calls that still wait, with what there is: nothing else is waited for.
    fn end_waits(&mut self, voice: &Voice<'_>) -> Result<(), Stop> {
        for (id, wait) in std::mem::take(&mut self.waits) {
            let result = match &wait {
                Wait::Letters { consumer, limit, .. } => {
                    self.next_letters(consumer, *limit).map(Value::from)
                }
                Wait::Key(phone) => {
                    let word = KeyWord::Unasked("the program has nothing more to say".to_owned());
                    self.key_by_word(phone, &word)
                }
            };
            say(id.as_ref(), &result, voice)?;
        }
        Ok(())
    }

    /// Who is meant.
    pub(super) fn find(&self, who: &str) -> Result<Phone, Refusal> {
        let who = Who::parse(who).map_err(Failure::Usage)?;
        Ok(who.find(&self.home, self.office.country.as_ref())?)
    }

    /// Tells of these from now on.
    pub(super) fn subscribe(&mut self, events: &[&str]) -> Result<(), Refusal> {
        self.subscription = Some(Subscription::begin(&self.home, events)?);
        Ok(())
    }

    /// How it stands with the connection.
    pub(super) fn connection(&self) -> Value {
        values::connection(&self.connection)
    }

    /// Tells who wrote these letters that they were read, if the person wants that.
    pub(super) fn send_receipts(&mut self, read: &[LetterId]) -> Result<(), Refusal> {
        if self.office.receipts {
            let queued =
                self.home.queue_receipts(read, || Uid::generate(&mut rng()), clock::now())?;
            self.has_sent |= queued > 0;
        }
        Ok(())
    }
}

/// A group of requests was not stored.
struct Undone;

impl From<HomeError> for Undone {
    fn from(_: HomeError) -> Self {
        Self
    }
}

fn is_grouped(request: &Read) -> bool {
    let Ok(request) = request else { return false };
    methods::find(&request.method).is_ok_and(|method| method.class == Class::Grouped)
}

fn say(id: Option<&Value>, result: &Result<Value, Refusal>, voice: &Voice<'_>) -> Result<(), Stop> {
    id.map_or(Ok(()), |id| voice.say(&message::answer(id, result)))
}

fn not_allowed(method: &Method) -> Refusal {
    let name = method.name;
    Failure::Untrusted(format!(
        "{name} says whose keys are believed in, so the person has to allow it: waxwing rpc --allow-trust"
    ))
    .into()
}
