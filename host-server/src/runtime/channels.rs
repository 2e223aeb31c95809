//! The channels between the shards of a server, each on a loop of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use waxwing_core::id::UserId;
use waxwing_core::server::{Baggage, Mail, Shard, ShardId};

use super::offences::Offence;
use super::requests::Request;
use crate::offer::{Offer, Offered};
use crate::store::Ban;
use crate::wake::Wake;

/// Something for another shard. `D` is a connection between two loops.
pub enum Message<D> {
    /// From machine to machine.
    Mail(Mail),
    /// A connection to be served there.
    Connection(Box<D>, Baggage),
    /// To the registrar: a connection from this address, which it had passed on, has ended.
    Ended(IpAddr),
    /// To the registrar: somebody at this address has offended.
    Offence(IpAddr, Offence),
    /// The registrar has banned somebody.
    Banned(Ban),
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

/// The ways to all shards, for whoever is not one.
pub struct ShardLines(Vec<Box<dyn Fn(Request) + Send + Sync>>);

impl ShardLines {
    /// To the shards at the ends of these routes, in order.
    #[must_use]
    pub fn new<D: Send + 'static>(routes: &[Route<D>]) -> Self {
        let line = |route: &Route<D>| {
            let route = route.clone();
            let send = move |request| {
                // A shard that has stopped drops it, and whoever waits for the answer hears that.
                let _ = route.inbox.send(vec![Message::Request(request)]);
                route.waker.wake();
            };
            Box::new(send) as Box<dyn Fn(Request) + Send + Sync>
        };
        Self(routes.iter().map(line).collect())
    }

    /// The names of the shards.
    pub fn ids(&self) -> impl Iterator<Item = ShardId> {
        (0..).map(ShardId).take(self.0.len())
    }

    /// The shard that owns a user.
    #[must_use]
    pub fn owner_of(&self, user: UserId) -> ShardId {
        let count = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        Shard::all(count).next().map_or(ShardId::REGISTRAR, |shard| shard.owner_of(user))
    }

    /// Asks a shard something that can be taken back as long as it has not begun with it.
    pub fn offer<T>(&self, to: ShardId, request: impl FnOnce(Sender<T>) -> Request) -> Offered<T> {
        let ((sender, answer), offer) = (channel(), Offer::default());
        self.send(to, Request::Offered(offer.clone(), Box::new(request(sender))));
        Offered { offer, answer }
    }

    /// Asks a shard something.
    pub fn send(&self, to: ShardId, request: Request) {
        if let Some(send) = self.0.get(usize::from(to.0)) {
            send(request);
        }
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
