//! Joins one event loop and one server machine: bytes, completions and messages of other shards in,
//! bytes, jobs and messages out.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use waxwing_core::crypto::Provider;
use waxwing_core::server::{
    AddressPrefix, ConnId, Env, Event, Identity, OtpOutcome, OtpTicket, Output, Peer, Server,
    ShardId,
};
use waxwing_transport_mio::{
    CloseReason, Connections, Handler, IntroductionError, Load, Signal, Token,
};

use super::admission::Admission;
use super::bans::Bans;
use super::channels::{Channels, Message};
use super::configuration::Reconfiguration;
use super::deliveries::Deliveries;
use super::draining::Draining;
use super::event_counts::EventCounts;
use super::log::Log;
use super::offences::Offence;
use super::own_addresses::OwnAddresses;
use super::requests::{Request, Requests, ShardReport};
use super::settings;
use super::turn_times::TurnTimes;
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::exit::Failure;
use crate::failpoint::Failpoint;
use crate::otp::DeliveryTicket;
use crate::store::{Ban, BanChange, Done, Job, StorageClient};

/// What a shard is connected to besides the network. `D` is a connection between two loops, and `P` the
/// crypto of its machine.
pub struct Links<D, P: Provider> {
    /// Takes what storage is to do.
    pub storage: StorageClient,
    /// Says what storage has done.
    pub completions: Receiver<Done>,
    /// Leads to the other shards.
    pub channels: Channels<D>,
    /// Takes codes to phones.
    pub deliveries: Deliveries,
    /// Takes signals that do not ask the process to end.
    pub signals: Sender<Signal>,
    /// Hears that the server begins to stop; from several shards, and perhaps more than once.
    pub stops: StopNotice,
    /// Who is not served.
    pub bans: Bans,
    /// Whom the server does not ban by itself.
    pub own_addresses: OwnAddresses,
    /// Brings the keys that follow the server's.
    pub identities: Receiver<Identity<P>>,
}

/// Hears that the server begins to stop. It must not block.
pub type StopNotice = Arc<dyn Fn() + Send + Sync>;

/// The handler of a loop with the connections `L`: its machine uses the crypto of `P`, and the time is
/// that of the clock `C`.
pub struct EventHandler<P: Provider, C, L: Connections> {
    server: Server<P>,
    clock: C,
    rng: ChaCha20Rng,
    storage: StorageClient,
    completions: Receiver<Done>,
    channels: Channels<L::Detached>,
    /// Connections that came from the registrar, and the addresses that count them there.
    adopted: HashMap<Token, IpAddr>,
    deliveries: Deliveries,
    signals: Sender<Signal>,
    stops: StopNotice,
    identities: Receiver<Identity<P>>,
    admission: Admission,
    log: Log,
    events: EventCounts,
    requests: Requests,
    turn_times: TurnTimes,
    free_disk: Option<u64>,
    disk_is_low: bool,
    min_free_disk: u64,
    flush_patience: Duration,
    stopping: bool,
    /// Nobody is accepted, because the server is to stop.
    draining: Option<Draining>,
    /// Shards that have stopped.
    stopped: usize,
    /// Why storage has given up, once it has.
    fatal: Option<Failure>,
}

impl<P: Provider, C: Clock, L: Connections> EventHandler<P, C, L> {
    /// Joins `server` to `links`. All time is that of `clock`, all randomness that of `rng`.
    #[must_use]
    pub fn new(
        server: Server<P>,
        config: &Config,
        clock: C,
        rng: ChaCha20Rng,
        links: Links<L::Detached, P>,
    ) -> Self {
        let Links { storage, completions, channels, deliveries, signals, stops, .. } = links;
        Self {
            server,
            clock,
            rng,
            storage,
            completions,
            channels,
            adopted: HashMap::new(),
            deliveries,
            signals,
            stops,
            identities: links.identities,
            admission: Admission::new(config, links.bans, links.own_addresses),
            log: Log::default(),
            events: EventCounts::default(),
            requests: Requests::default(),
            turn_times: TurnTimes::default(),
            free_disk: None,
            disk_is_low: false,
            min_free_disk: config.storage.min_free_disk,
            flush_patience: config.deadlines.leave,
            stopping: false,
            draining: None,
            stopped: 0,
            fatal: None,
        }
    }

    /// The machine, to look at.
    pub const fn server(&self) -> &Server<P> {
        &self.server
    }

    /// Its loop has failed: the others must not go on without it.
    pub fn give_up(&mut self) {
        self.channels.send_to_all(|| Message::Stop);
        self.channels.send_to_all(|| Message::Stop);
        self.channels.dispatch();
    }

    /// Why storage has failed, if it has.
    #[must_use]
    pub fn into_fatal(self) -> Option<Failure> {
        self.fatal
    }

    /// What a drain means to the loop: nobody is accepted any more, and one shard ends it all.
    fn note_drain(&mut self, io: &mut L, request: &Request) {
        match request {
            Request::Drain(drain, _) => {
                io.stop_listening();
                self.draining = Some(Draining::begin(drain, self.clock.now().instant));
            }
            Request::Undrain(_) => self.draining = None,
            _ => {}
        }
    }

    /// Has all shards stop in good order, and those that do so already at once.
    fn stop(&mut self, io: &mut L) {
        self.channels.send_to_all(|| Message::Stop);
        self.channels.dispatch();
        self.take_messages(io);
    }

    fn tell(&mut self, act: impl FnOnce(&mut Server<P>, &mut Env<'_>)) {
        let now = self.clock.now();
        self.turn_times.begin(now.instant);
        act(&mut self.server, &mut Env { now, rng: &mut self.rng });
    }

    fn take_completions(&mut self, io: &mut L) {
        while let Ok(done) = self.completions.try_recv() {
            match done {
                Done::Batch(ticket, outcome) => {
                    self.tell(|server, env| server.stored(env, ticket, outcome));
                }
                Done::Answer(ticket, answer) => {
                    self.tell(|server, env| server.answered(env, ticket, answer));
                }
                Done::FreeDisk(bytes) => {
                    self.free_disk = Some(bytes);
                    self.look_at_the_disk();
                }
                Done::Fatal(why) => {
                    tracing::error!(name: "storage_failed", %why, "storage failed; stopping");
                    self.fatal = Some(why);
                    io.stop();
                }
            }
        }
        while let Some((ticket, result)) = self.deliveries.news(self.clock.now().instant) {
            let ticket = OtpTicket(ticket.0);
            let outcome = match result {
                Ok(()) => OtpOutcome::Delivered,
                Err(error) if error.may_be_out() => OtpOutcome::Lost,
                Err(_) => OtpOutcome::Undeliverable,
            };
            self.events.code(outcome);
            self.tell(|server, env| server.otp_ended(env, ticket, outcome));
        }
        let rest = self.deliveries.rest_until(self.clock.now().instant);
        self.server.set_codes_rest_until(rest);
    }

    fn look_at_the_disk(&mut self) {
        let Some(bytes) = self.free_disk else { return };
        let low = bytes < self.min_free_disk;
        if low && !self.disk_is_low {
            tracing::warn!(
            name: "disk_low",
                bytes,
                "less disk space is free than storage.min_free_disk: letters for absent recipients \
                 are refused until there is more"
            );
        }
        self.disk_is_low = low;
        self.server.set_disk_is_low(low);
    }

    /// Goes on with another configuration, between two turns.
    fn configure(&mut self, io: &mut L, next: Reconfiguration) {
        let Reconfiguration { config, registration, ways, taken } = next;
        let machine = settings::machine(&config, registration);
        self.tell(|server, env| server.operator().configure(env, machine));
        self.admission.configure(&config);
        self.min_free_disk = config.storage.min_free_disk;
        self.look_at_the_disk();
        self.flush_patience = config.deadlines.leave;
        io.set_max_unsent(settings::max_unsent(&config));
        io.set_shutdown_grace(config.deadlines.leave);
        if let Some(ways) = ways {
            self.deliveries.go_other_ways(ways);
        }
        // Whoever waited for it may wait no more.
        let _ = taken.send(());
    }

    fn take_messages(&mut self, io: &mut L) {
        while let Some(messages) = self.channels.receive() {
            for message in messages {
                self.take_message(io, message);
            }
        }
    }

    fn take_message(&mut self, io: &mut L, message: Message<L::Detached>) {
        match message {
            Message::Mail(mail) => self.tell(|server, env| server.mail(env, mail)),
            Message::Connection(detached, baggage) => {
                let address = L::peer_of(&detached).ip();
                if self.admission.bans().has(address, self.clock.now().unix) {
                    // It was on its way when its address was banned.
                    return self.channels.send(ShardId::REGISTRAR, Message::Ended(address));
                }
                match io.attach(*detached) {
                    Ok(conn) => {
                        self.adopted.insert(conn, address);
                        self.tell(|server, env| server.moved_in(env, conn_id(conn), baggage));
                    }
                    Err(error) => {
                        tracing::warn!(name: "connection_lost", %error, "a connection could not be handed to its event loop, and is closed");
                        self.channels.send(ShardId::REGISTRAR, Message::Ended(address));
                    }
                }
            }
            Message::Ended(address) => io.release(address),
            Message::Offence(address, what) => {
                let now = self.clock.now();
                if let Some(ban) = self.admission.offended(address, what, (now.instant, now.unix)) {
                    self.tell_of_ban(&ban);
                }
            }
            Message::Banned(ban) => _ = self.ban(io, ban),
            Message::Request(Request::Offered(offer, request)) => {
                if offer.claim() {
                    self.take_message(io, Message::Request(*request));
                }
            }
            Message::Request(Request::Bans(after, answer)) => {
                let _ = answer.send(self.admission.bans().page(after, self.clock.now().unix));
            }
            Message::Request(Request::AboutRange(range, answer)) => {
                let _ = answer.send(self.admission.about(range, self.clock.now().unix));
            }
            Message::Request(Request::Ban(ban, answer)) => {
                let _ = answer.send(self.ban(io, ban));
            }
            Message::Request(Request::EndBan(range, answer)) => {
                self.admission.end_ban(range);
                let _ = answer.send(());
            }
            Message::Request(Request::Succeed) => {
                while let Ok(next) = self.identities.try_recv() {
                    self.tell(|server, env| server.operator().succeed(env, next));
                }
            }
            Message::Request(request) => {
                self.note_drain(io, &request);
                let now = self.clock.now();
                self.turn_times.begin(now.instant);
                let Self { server, rng, requests, deliveries, .. } = self;
                requests.take(request, (server, deliveries), &mut Env { now, rng });
            }
            Message::Stop if self.stopping => io.stop(),
            Message::Stop => {
                self.stopping = true;
                (self.stops)();
                io.stop_listening();
                self.tell(|server, env| server.stop(env));
            }
            Message::Stopped => {
                self.stopped += 1;
                // Until then other machines may have mail for this one.
                if self.stopped == self.channels.count() {
                    io.stop();
                }
            }
        }
    }

    /// Serves nobody from there any more. How many connections have ended.
    fn ban(&mut self, io: &mut L, ban: Ban) -> usize {
        let ended = io.close_from(&|address| ban.range.contains(address));
        self.admission.bans().add(ban);
        ended
    }

    /// At the registrar: a ban that it has set by itself is stored, and every shard hears of it.
    fn tell_of_ban(&mut self, ban: &Ban) {
        let Ban { range, until, reason, .. } = ban;
        let until = until.map(clock::written);
        tracing::info!(
            name: "banned",
            %range, until, reason,
            "nobody is served from there for a while (limits.ban_after); `waxwing-server ban remove` ends it"
        );
        // If storage cannot keep it, it says so itself, and the ban is over with the process.
        self.storage.send(Job::ChangeBans(BanChange::Add(ban.clone()), channel().0));
        self.channels.send_to_all(|| Message::Banned(ban.clone()));
        // At once: an operator who ends it does so behind it.
        self.channels.dispatch();
    }

    /// Tells the registrar of what counts towards a ban.
    fn note_offence(&mut self, io: &L, event: &Event) {
        let Event::Refused { conn, code } = *event else { return };
        let Some(what) = Offence::of(code) else { return };
        let Some(address) = io.peer(token(conn)).map(|peer| peer.ip()) else { return };
        if self.admission.counts(address) {
            self.channels.send(ShardId::REGISTRAR, Message::Offence(address, what));
        }
    }

    fn carry_out_all(&mut self, io: &mut L) {
        while let Some(output) = self.server.poll_output() {
            self.carry_out(io, output);
        }
        self.channels.dispatch();
    }

    fn carry_out(&mut self, io: &mut L, output: Output) {
        match output {
            Output::Send { conn, packet } => {
                Failpoint::pass_packet(&packet);
                // A connection that is gone takes nothing; its `closed` is on its way.
                io.send_shared(token(conn), packet);
            }
            Output::Reading { conn, on: true } => io.resume_reading(token(conn)),
            Output::Reading { conn, on: false } => io.pause_reading(token(conn)),
            Output::Close { conn } => io.close_after_flush(token(conn), self.flush_patience),
            Output::Mail { to, mail } => self.channels.send(to, Message::Mail(mail)),
            Output::Move { conn, to, baggage } => {
                // If it is ending, its `closed` is on its way, and the baggage has no use.
                if let Some(detached) = io.detach(token(conn)) {
                    self.adopted.remove(&token(conn));
                    self.channels.send(to, Message::Connection(Box::new(detached), baggage));
                }
            }
            Output::Store(batch) => self.storage.send(Job::Batch(batch)),
            Output::Ask(ask) => self.storage.send(Job::Ask(ask)),
            Output::DeliverOtp { ticket, phone, otp } => {
                let (ticket, now) = (DeliveryTicket(ticket.0), self.clock.now().instant);
                self.deliveries.deliver(ticket, &phone, &otp, now);
            }
            Output::Event(event) => {
                self.note_offence(io, &event);
                self.events.event(&event);
                self.log.event(event, self.clock.now().instant);
            }
            Output::Administered { user, outcome } => self.requests.administered(user, outcome),
            Output::Stopped => self.channels.send_to_all(|| Message::Stopped),
        }
    }
}

impl<P: Provider, C: Clock, L: Connections> Handler<L> for EventHandler<P, C, L> {
    fn is_proxy(&mut self, peer: SocketAddr) -> bool {
        self.admission.is_proxy(peer)
    }

    fn not_introduced(&mut self, proxy: SocketAddr, why: IntroductionError) {
        self.events.not_introduced += 1;
        self.log.not_introduced(proxy, why, self.clock.now().instant);
    }

    fn accept(&mut self, peer: SocketAddr, load: Load) -> bool {
        if self.stopping || self.draining.is_some() {
            return false;
        }
        let now = self.clock.now();
        if self.admission.bans().has(peer.ip(), now.unix) {
            self.events.banned += 1;
            return false;
        }
        let admits = self.admission.admits(peer, load, now.instant);
        self.events.connections_refused += u64::from(!admits);
        admits
    }

    fn opened(&mut self, _io: &mut L, conn: Token, peer: SocketAddr) {
        let exempt = self.admission.is_exempt(peer);
        let peer = Peer { prefix: AddressPrefix::of(peer.ip()), exempt };
        tracing::trace!(conn = conn.to_bits(), "connected");
        self.tell(|server, env| server.connected(env, conn_id(conn), peer));
    }

    fn received(&mut self, _io: &mut L, conn: Token, bytes: &[u8]) {
        tracing::trace!(conn = conn.to_bits(), bytes = bytes.len(), "received");
        self.tell(|server, env| server.received(env, conn_id(conn), bytes));
    }

    fn hung_up(&mut self, _io: &mut L, conn: Token) {
        self.tell(|server, env| server.hung_up(env, conn_id(conn)));
    }

    fn closed(&mut self, _io: &mut L, conn: Token, why: CloseReason) {
        tracing::trace!(conn = conn.to_bits(), ?why, "disconnected");
        self.events.connection_ended(why);
        if let Some(address) = self.adopted.remove(&conn) {
            self.channels.send(ShardId::REGISTRAR, Message::Ended(address));
        }
        self.tell(|server, env| server.disconnected(env, conn_id(conn)));
    }

    fn signal(&mut self, io: &mut L, signal: Signal) {
        if !signal.ends() {
            // Its receiver lives as long as the server serves.
            let _ = self.signals.send(signal);
            return;
        }
        if self.stopping {
            tracing::warn!(name: "stopping_at_once", ?signal, "stopping at once; what is not stored is not acknowledged");
        } else {
            tracing::info!(name: "stopping", ?signal, "stopping in good order; a second signal stops at once");
        }
        self.stop(io);
    }

    fn turn(&mut self, io: &mut L) -> Option<Duration> {
        self.take_completions(io);
        self.take_messages(io);
        let now = self.clock.now();
        let sessions = self.server.session_count();
        let is_over = |draining: &mut Draining| draining.is_over(sessions, now.instant);
        if !self.stopping && self.draining.as_mut().is_some_and(is_over) {
            tracing::info!("the server is drained; stopping in good order");
            self.stop(io);
        }
        if self.server.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.tell(|server, env| server.timeout(env));
        }
        // What is ready goes first: the end of the turn takes its time for signatures.
        self.carry_out_all(io);
        io.flush();
        self.tell(|server, env| server.end_turn(env));
        self.carry_out_all(io);
        let now = self.clock.now();
        self.turn_times.end(now.instant);
        let room = self.free_disk.map(|bytes| bytes.saturating_sub(self.min_free_disk));
        let Self {
            server,
            requests,
            turn_times,
            disk_is_low,
            events,
            admission,
            deliveries,
            stopping,
            ..
        } = self;
        requests.report(|| ShardReport {
            machine: server.operator().report(now.instant),
            turn_p99: turn_times.p99(),
            free_disk: room,
            disk_is_low: *disk_is_low,
            turns: turn_times.all(),
            events: *events,
            bans: admission.bans().counts(now.unix),
            stops: *stopping,
            failing_ways: deliveries.failing(now.instant),
        });
        let configurations = self.requests.configurations();
        if !configurations.is_empty() {
            for next in configurations {
                self.configure(io, next);
            }
            // What storage is to learn of it goes with the next turn.
            return Some(Duration::ZERO);
        }
        let draining = self.draining.as_ref().filter(|_| !self.stopping);
        let stops_at = draining.and_then(|draining| draining.wait_until(now.instant));
        let wait_until = [self.server.poll_timeout(), stops_at].into_iter().flatten().min();
        wait_until.map(|at| at.since(now.instant))
    }
}

fn conn_id(token: Token) -> ConnId {
    ConnId(token.to_bits())
}

fn token(conn: ConnId) -> Token {
    Token::from_bits(conn.0)
}
