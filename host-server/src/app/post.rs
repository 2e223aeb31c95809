//! What the offices of a server send one another, each on a loop of its own.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender};

use waxwing_core::server::{Baggage, Mail, ShardId};
use waxwing_transport_mio::{Detached, Waker};

/// Something for another office.
pub(super) enum Parcel {
    /// From machine to machine.
    Mail(Mail),
    /// A connection to be served there.
    Connection(Box<Detached>, Baggage),
    /// To the desk: a connection from this address, which it had passed on, has ended.
    Ended(IpAddr),
    /// Stop in good order; or, the second time, at once.
    Stop,
    /// The sender's machine has stopped.
    Stopped,
}

/// The way to one office.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) letterbox: Sender<Vec<Parcel>>,
    pub(super) waker: Waker,
}

/// The ways to all offices, and what is to go there when the turn ends.
pub(super) struct PostRoom {
    routes: Vec<(Route, Vec<Parcel>)>,
    letterbox: Receiver<Vec<Parcel>>,
}

impl PostRoom {
    /// With the routes to all offices, in order, and the way in of its own.
    pub(super) fn new(routes: Vec<Route>, letterbox: Receiver<Vec<Parcel>>) -> Self {
        let routes = routes.into_iter().map(|route| (route, Vec::new())).collect();
        Self { routes, letterbox }
    }

    /// How many offices there are.
    pub(super) fn offices(&self) -> usize {
        self.routes.len()
    }

    pub(super) fn send(&mut self, to: ShardId, parcel: Parcel) {
        if let Some((_, waiting)) = self.routes.get_mut(usize::from(to.0)) {
            waiting.push(parcel);
        }
    }

    /// Sends to every office, its own included.
    pub(super) fn send_to_all(&mut self, parcel: impl Fn() -> Parcel) {
        self.routes.iter_mut().for_each(|(_, waiting)| waiting.push(parcel()));
    }

    /// Everything goes out; those who get something are woken.
    pub(super) fn dispatch(&mut self) {
        for (route, waiting) in self.routes.iter_mut().filter(|(_, waiting)| !waiting.is_empty()) {
            // An office that has stopped takes nothing, and needs nothing.
            let _ = route.letterbox.send(std::mem::take(waiting));
            if let Err(error) = route.waker.wake() {
                tracing::error!(%error, "an event loop cannot be woken");
            }
        }
    }

    /// What has come.
    pub(super) fn receive(&self) -> Option<Vec<Parcel>> {
        self.letterbox.try_recv().ok()
    }
}
