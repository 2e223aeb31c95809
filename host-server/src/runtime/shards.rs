//! The shards of a server, each with an event loop and a thread of its own, and the storage thread.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Builder;

use waxwing_core::server::storage::Snapshot;
use waxwing_core::server::{Identity, OwnAccounts, Server, Shard};
use waxwing_transport_mio::{Connections, EventLoop, Io, Signal};

use super::bans::Bans;
use super::channels::{Channels, Route, ShardLines};
use super::deliveries::Deliveries;
use super::event_handler::{self, Links, StopNotice};
use super::own_addresses::of_interfaces;
use super::settings;
use crate::backend::{self, Backend};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::otp::{self, WayReport};
use crate::store::{Inspector, Outlet, Storage, StorageThread, ThreadOptions, TurnOptions};
use crate::wake::Wake;

type LoopError = waxwing_transport_mio::Error;
type EventHandler = event_handler::EventHandler<Backend, SystemClock, Io>;
type Detached = <Io as Connections>::Detached;

pub(super) struct Shards {
    storage: StorageThread,
    /// Each with its loop; the registrar is the first.
    handlers: Vec<(EventLoop, EventHandler)>,
    routes: Vec<Route<Detached>>,
    /// Takes word of how deliveries of codes ended, to the registrar.
    report: otp::WayReports,
    /// Each takes a key that follows the server's to a shard.
    identities: Vec<Sender<Identity<Backend>>>,
}

impl Shards {
    /// One for each loop; the registrar is the first.
    pub(super) fn new(
        config: &Config,
        identity: &Identity<Backend>,
        (storage, bans): (Box<dyn Storage>, &Bans),
        snapshot: &Snapshot,
        loops: Vec<EventLoop>,
        (signals, stops): (&Sender<Signal>, &StopNotice),
    ) -> Result<Self, Failure> {
        let (mut outlets, mut completions) = (Vec::new(), Vec::new());
        let (mut routes, mut inboxes) = (Vec::new(), Vec::new());
        for events in &loops {
            let (done, hear) = mpsc::channel();
            outlets.push(Outlet { done, waker: Box::new(events.waker()) });
            completions.push(hear);
            let (sender, inbox) = mpsc::channel();
            routes.push(Route { inbox: sender, waker: Arc::new(events.waker()) });
            inboxes.push(inbox);
        }
        let turns =
            TurnOptions { own_accounts: OwnAccounts::new(snapshot), ..TurnOptions::default() };
        let options = ThreadOptions { turns, idle: config.storage.tidy_after };
        let (storage, clients) = StorageThread::spawn(storage, options, outlets).map_err(system)?;
        let shards = Shard::all(u16::try_from(loops.len()).unwrap_or(u16::MAX));
        let registration = config.registration.policy()?;
        let clock = SystemClock::start();
        let now = clock.now();
        let ends = clients.into_iter().zip(completions).zip(inboxes);
        let (mut handlers, mut identities) = (Vec::new(), Vec::new());
        let registrar = loops.first().map(EventLoop::waker);
        let (report, reports) = report(registrar);
        let ways = otp::ways(&config.otp, &report).map_err(system)?;
        let mut deliveries = Some(Deliveries::new(ways, reports));
        for ((shard, events), ((storage, completions), inbox)) in shards.zip(loops).zip(ends) {
            let machine = settings::machine(config, registration.clone());
            let (provider, identity) = (Backend::default(), identity.clone());
            let server = Server::shard(provider, identity, machine, snapshot, shard, now);
            let channels = Channels::new(routes.clone(), inbox);
            // The registrar alone has any.
            let deliveries = deliveries.take().unwrap_or_default();
            let signals = signals.clone();
            let bans = bans.clone();
            let (to_shard, successors) = mpsc::channel();
            identities.push(to_shard);
            let links = Links {
                storage,
                completions,
                channels,
                deliveries,
                signals,
                stops: Arc::clone(stops),
                bans,
                own_addresses: of_interfaces,
                identities: successors,
            };
            let handler = EventHandler::new(server, config, clock, backend::random(), links);
            handlers.push((events, handler));
        }
        Ok(Self { storage, handlers, routes, report, identities })
    }

    /// The operator's ways to all of them.
    pub(super) fn lines(&self) -> ShardLines {
        ShardLines::new(&self.routes)
    }

    /// The way back from deliveries of codes.
    pub(super) fn report(&self) -> otp::WayReports {
        self.report.clone()
    }

    /// The ways by which a key that follows the server's comes to all of them.
    pub(super) fn identities(&self) -> Vec<Sender<Identity<Backend>>> {
        self.identities.clone()
    }

    /// The operator's way to storage.
    pub(super) fn inspector(&self) -> Inspector {
        self.storage.inspector()
    }

    /// Serves until all loops have ended, the registrar's on this thread. Then `end_others` ends what
    /// else is at work, before storage is closed.
    pub(super) fn serve(self, end_others: impl FnOnce()) -> Result<(), Failure> {
        let mut handlers = self.handlers.into_iter();
        let registrar = handlers.next();
        let mut threads = Vec::new();
        for (number, (events, handler)) in (1..).zip(handlers) {
            let thread = Builder::new().name(format!("waxwing-loop-{number}"));
            threads.push(thread.spawn(move || serve(events, handler)).map_err(system)?);
        }
        let mut ends: Vec<_> =
            registrar.map(|(events, handler)| serve(events, handler)).into_iter().collect();
        for thread in threads {
            ends.push(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        end_others();
        let closed = self.storage.shut_down();
        for (served, fatal) in ends {
            if let Some(why) = fatal {
                return Err(why);
            }
            served.map_err(network)?;
        }
        Ok(closed?)
    }
}

/// Runs one loop to its end; why storage has failed, if it has.
fn serve(
    mut events: EventLoop,
    mut handler: EventHandler,
) -> (Result<(), LoopError>, Option<Failure>) {
    let served = events.run(&mut handler);
    if served.is_err() {
        handler.give_up();
    }
    (served, handler.into_fatal())
}

/// A way for word of how deliveries went, and its end at the registrar.
fn report(waker: Option<impl Wake + 'static>) -> (otp::WayReports, Receiver<WayReport>) {
    let (report, reports) = mpsc::channel();
    let told = move |news| {
        // Both ends live as long as the server.
        let _ = report.send(news);
        waker.iter().for_each(Wake::wake);
    };
    (Arc::new(told), reports)
}

pub(super) fn network(error: LoopError) -> Failure {
    let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    let help = match &error {
        LoopError::Listen { source, .. } => match source.kind() {
            io::ErrorKind::AddrInUse => "; is a server running there? --listen takes another port",
            io::ErrorKind::AddrNotAvailable => {
                "; this machine has no such address: 0.0.0.0 and [::] mean all that it has"
            }
            io::ErrorKind::InvalidInput => {
                "; an address of one link needs the number of its interface, as in [fe80::1%2]:9295"
            }
            io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
            _ => "",
        },
        _ => "",
    };
    Failure::new(Exit::Network, format!("{error}{why}{help}"))
}

pub(super) fn system(error: io::Error) -> Failure {
    Failure::new(Exit::Failure, error)
}
