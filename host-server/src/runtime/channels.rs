//! The channels between the shards of a server, each on a loop of its own.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender};

use waxwing_core::server::{Baggage, Mail, ShardId};
use waxwing_transport_mio::{Detached, Waker};

/// Something for another shard.
pub(super) enum Message {
    /// From machine to machine.
    Mail(Mail),
    /// A connection to be served there.
    Connection(Box<Detached>, Baggage),
    /// To the registrar: a connection from this address, which it had passed on, has ended.
    Ended(IpAddr),
    /// Stop in good order; or, the second time, at once.
    Stop,
    /// The sender's machine has stopped.
    Stopped,
}

/// The channel to one shard.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) inbox: Sender<Vec<Message>>,
    pub(super) waker: Waker,
}

/// The channels to all shards, and what is to go there when the turn ends.
pub(super) struct Channels {
    routes: Vec<(Route, Vec<Message>)>,
    inbox: Receiver<Vec<Message>>,
}

impl Channels {
    /// With the routes to all shards, in order, and the inbox of its own.
    pub(super) fn new(routes: Vec<Route>, inbox: Receiver<Vec<Message>>) -> Self {
        let routes = routes.into_iter().map(|route| (route, Vec::new())).collect();
        Self { routes, inbox }
    }

    /// How many shards there are.
    pub(super) fn count(&self) -> usize {
        self.routes.len()
    }

    pub(super) fn send(&mut self, to: ShardId, message: Message) {
        if let Some((_, waiting)) = self.routes.get_mut(usize::from(to.0)) {
            waiting.push(message);
        }
    }

    /// Sends to every shard, its own included.
    pub(super) fn send_to_all(&mut self, message: impl Fn() -> Message) {
        self.routes.iter_mut().for_each(|(_, waiting)| waiting.push(message()));
    }

    /// Everything goes out; those who get something are woken.
    pub(super) fn dispatch(&mut self) {
        for (route, waiting) in self.routes.iter_mut().filter(|(_, waiting)| !waiting.is_empty()) {
            // A shard that has stopped takes nothing, and needs nothing.
            let _ = route.inbox.send(std::mem::take(waiting));
            if let Err(error) = route.waker.wake() {
                tracing::error!(%error, "an event loop cannot be woken");
            }
        }
    }

    /// What has come.
    pub(super) fn receive(&self) -> Option<Vec<Message>> {
        self.inbox.try_recv().ok()
    }
}
