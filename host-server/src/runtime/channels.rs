//! The channels between the shards of a server, each on a loop of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use waxwing_core::server::{Baggage, Mail, ShardId};

use super::requests::Request;
use crate::wake::Wake;

/// Something for another shard. `D` is a connection between two loops.
pub enum Message<D> {
    /// From machine to machine.
    Mail(Mail),
    /// A connection to be served there.
    Connection(Box<D>, Baggage),
    /// To the registrar: a connection from this address, which it had passed on, has ended.
    Ended(IpAddr),
    /// What an operator asks.
    Request(Request),
    /// Stop in good order; or, the second time, at once.
    Stop,
    /// The sender's machine has stopped.
    Stopped,
}

/// The channel to one shard.
pub struct Route<D> {
    /// Takes what is for it, in order.
    pub inbox: Sender<Vec<Message<D>>>,
    /// Wakes it afterwards.
    pub waker: Arc<dyn Wake>,
}

impl<D> Route<D> {
    /// Sends something to the shard from outside of all shards. Whether it is still there.
    pub fn send(&self, message: Message<D>) -> bool {
        let is_there = self.inbox.send(vec![message]).is_ok();
        self.waker.wake();
        is_there
    }
}

impl<D> Clone for Route<D> {
    fn clone(&self) -> Self {
        Self { inbox: self.inbox.clone(), waker: self.waker.clone() }
    }
}

/// The channels to all shards, and what is to go there when the turn ends.
pub struct Channels<D> {
    routes: Vec<(Route<D>, Vec<Message<D>>)>,
    inbox: Receiver<Vec<Message<D>>>,
}

impl<D> Channels<D> {
    /// With the routes to all shards, in order, and the inbox of its own.
    #[must_use]
    pub fn new(routes: Vec<Route<D>>, inbox: Receiver<Vec<Message<D>>>) -> Self {
        let routes = routes.into_iter().map(|route| (route, Vec::new())).collect();
        Self { routes, inbox }
    }

    /// How many shards there are.
    pub(super) fn count(&self) -> usize {
        self.routes.len()
    }

    pub(super) fn send(&mut self, to: ShardId, message: Message<D>) {
        if let Some((_, waiting)) = self.routes.get_mut(usize::from(to.0)) {
            waiting.push(message);
        }
    }

    /// Sends to every shard, its own included.
    pub(super) fn send_to_all(&mut self, message: impl Fn() -> Message<D>) {
        self.routes.iter_mut().for_each(|(_, waiting)| waiting.push(message()));
    }

    /// Everything goes out; those who get something are woken.
    pub(super) fn dispatch(&mut self) {
        for (route, waiting) in self.routes.iter_mut().filter(|(_, waiting)| !waiting.is_empty()) {
            // A shard that has stopped takes nothing, and needs nothing.
            let _ = route.inbox.send(std::mem::take(waiting));
            route.waker.wake();
        }
    }

    /// What has come.
    pub(super) fn receive(&self) -> Option<Vec<Message<D>>> {
        self.inbox.try_recv().ok()
    }
}
