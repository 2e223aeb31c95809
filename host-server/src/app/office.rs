//! Joins the event loop and the server machine: bytes and completions in, bytes and jobs out.

use std::net::SocketAddr;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use waxwing_core::server::{AddressPrefix, ConnId, Env, OtpTicket, Output, Peer, Server};
use waxwing_core::time::{self, Now};
use waxwing_transport_mio::{CloseReason, Handler, Io, Signal, Token};

use super::log;
use crate::backend::{self, Backend};
use crate::clock;
use crate::config::{AddressRange, Config};
use crate::failpoint::Failpoint;
use crate::otp::{DeliveryError, DeliveryTicket, OtpDelivery};
use crate::store::{Done, Job, StorageThread};

/// How a delivery ended.
type DeliveryReport = (DeliveryTicket, Result<(), DeliveryError>);

pub(super) struct Office {
    server: Server<Backend>,
    rng: ChaCha20Rng,
    started: Instant,
    storage: StorageThread,
    completions: Receiver<Done>,
    delivery: Option<Box<dyn OtpDelivery>>,
    reports: Receiver<DeliveryReport>,
    exempt: Vec<AddressRange>,
    connections_per_address: usize,
    min_free_disk: u64,
    flush_patience: Duration,
    stopping: bool,
    /// Why storage has given up, once it has.
    fatal: Option<String>,
}

impl Office {
    pub(super) fn new(
        server: Server<Backend>,
        config: &Config,
        storage: StorageThread,
        completions: Receiver<Done>,
        delivery: Option<Box<dyn OtpDelivery>>,
        reports: Receiver<DeliveryReport>,
    ) -> Self {
        Self {
            server,
            rng: backend::random(),
            started: Instant::now(),
            storage,
            completions,
            delivery,
            reports,
            exempt: config.limits.exempt.clone(),
            connections_per_address: config.limits.connections_per_address as usize,
            min_free_disk: config.storage.min_free_disk,
            flush_patience: config.deadlines.leave,
            stopping: false,
            fatal: None,
        }
    }

    /// Gives back the storage thread, and why it has failed if it has.
    pub(super) fn into_parts(self) -> (StorageThread, Option<String>) {
        (self.storage, self.fatal)
    }

    fn now(&self) -> Now {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { instant: time::Instant::from_millis(millis), unix: clock::unix_now() }
    }

    fn tell(&mut self, act: impl FnOnce(&mut Server<Backend>, &mut Env<'_>)) {
        let now = self.now();
        act(&mut self.server, &mut Env { now, rng: &mut self.rng });
    }

    fn is_exempt(&self, peer: SocketAddr) -> bool {
        self.exempt.iter().any(|range| range.contains(peer.ip()))
    }

    fn take_completions(&mut self, io: &mut Io) {
        while let Ok(done) = self.completions.try_recv() {
            match done {
                Done::Batch(ticket, outcome) => {
                    self.tell(|server, env| server.stored(env, ticket, outcome));
                }
                Done::Answer(ticket, answer) => {
                    self.tell(|server, env| server.answered(env, ticket, answer));
                }
                Done::FreeDisk(bytes) => {
                    let low = bytes < self.min_free_disk;
                    if low {
                        tracing::warn!(bytes, "little disk space is left");
                    }
                    self.server.set_disk_is_low(low);
                }
                Done::Fatal(why) => {
                    tracing::error!(%why, "storage failed; stopping");
                    self.fatal = Some(why);
                    io.stop();
                }
            }
        }
        while let Ok((ticket, result)) = self.reports.try_recv() {
            if let Err(error) = result {
                tracing::warn!(%error, "a one-time password did not go out");
                self.server.otp_undeliverable(OtpTicket(ticket.0));
            }
        }
    }

    fn carry_out(&mut self, io: &mut Io, output: Output) {
        match output {
            Output::Send { conn, packet } => {
                Failpoint::pass_packet(&packet);
                // A connection that is gone takes nothing; its `closed` is on its way.
                io.send_shared(token(conn), packet);
            }
            Output::Reading { conn, on: true } => io.resume_reading(token(conn)),
            Output::Reading { conn, on: false } => io.pause_reading(token(conn)),
            Output::Close { conn } => io.close_after_flush(token(conn), self.flush_patience),
            Output::Store(batch) => self.storage.send(Job::Batch(batch)),
            Output::Ask(ask) => self.storage.send(Job::Ask(ask)),
            Output::DeliverOtp { ticket, phone, otp } => {
                if let Some(delivery) = &self.delivery {
                    delivery.deliver(DeliveryTicket(ticket.0), &phone, &otp);
                }
            }
            Output::Event(event) => log::event(event),
            Output::Stopped => io.stop(),
        }
    }
}

impl Handler for Office {
    fn accept(&mut self, peer: SocketAddr, from_address: usize) -> bool {
        !self.stopping && (from_address < self.connections_per_address || self.is_exempt(peer))
    }

    fn opened(&mut self, _io: &mut Io, conn: Token, peer: SocketAddr) {
        let exempt = self.is_exempt(peer);
        let peer = Peer { prefix: AddressPrefix::of(peer.ip()), exempt };
        tracing::trace!(conn = conn.to_bits(), "connected");
        self.tell(|server, env| server.connected(env, conn_id(conn), peer));
    }

    fn received(&mut self, _io: &mut Io, conn: Token, bytes: &[u8]) {
        tracing::trace!(conn = conn.to_bits(), bytes = bytes.len(), "received");
        self.tell(|server, env| server.received(env, conn_id(conn), bytes));
    }

    fn closed(&mut self, _io: &mut Io, conn: Token, why: CloseReason) {
        tracing::trace!(conn = conn.to_bits(), ?why, "disconnected");
        self.server.disconnected(conn_id(conn));
    }

    fn signal(&mut self, io: &mut Io, signal: Signal) {
        if self.stopping {
            tracing::warn!(?signal, "stopping at once");
            io.stop();
            return;
        }
        tracing::info!(?signal, "stopping");
        self.stopping = true;
        io.stop_listening();
        self.tell(|server, env| server.stop(env));
    }

    fn turn(&mut self, io: &mut Io) -> Option<Duration> {
        self.take_completions(io);
        let now = self.now();
        if self.server.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.tell(|server, env| server.timeout(env));
        }
        self.tell(|server, env| server.end_turn(env));
        while let Some(output) = self.server.poll_output() {
            self.carry_out(io, output);
        }
        let now = self.now();
        self.server.poll_timeout().map(|at| at.since(now.instant))
    }
}

fn conn_id(token: Token) -> ConnId {
    ConnId(token.to_bits())
}

fn token(conn: ConnId) -> Token {
    Token::from_bits(conn.0)
}
