//! Connections of proxies that have not said yet whose they are.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tracing::debug;

use crate::connection::Phase;
use crate::error::{CloseReason, IntroductionError};
use crate::handler::Handler;
use crate::io::{Io, soon};
use crate::proxy_header::{Origin, ProxyHeader};
use crate::slab::Token;
use crate::stream::Stream;

/// Those that wait for the rest of their header, sorted by when their time is over. All have the same
/// time, so the first is the one that has waited for longest.
#[derive(Debug, Default)]
pub(crate) struct Introductions(BTreeMap<(Instant, Token), ProxyHeader>);

impl Introductions {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn remove(&mut self, until: Instant, token: Token) {
        self.0.remove(&(until, token));
    }

    fn oldest(&self) -> Option<Token> {
        self.0.first_key_value().map(|((_, token), _)| *token)
    }
}

/// How far an introduction has come.
enum Step {
    /// The rest is not here yet.
    Waits,
    Whole(Origin),
    /// The proxy has ended the connection without a word, as one that only looks whether the server is
    /// there.
    Nothing,
    Failed(IntroductionError),
}

impl<S: Stream> Io<S> {
    /// Takes in a connection of a proxy, which has to say whose it is.
    pub(crate) fn await_introduction<H: Handler<Self>>(
        &mut self,
        stream: S,
        proxy: SocketAddr,
        handler: &mut H,
    ) {
        while self.introductions.len() >= self.config.max_introductions {
            // Whoever says it at once is through long before.
            let Some(oldest) = self.introductions.oldest() else { return };
            self.introduction_failed(oldest, IntroductionError::TooMany, handler);
        }
        let until = soon(self.config.introduction);
        match self.adopt(stream, proxy, Phase::Open, false) {
            Ok(token) => {
                self.enter(token, Phase::Introducing(until));
                self.introductions.0.insert((until, token), ProxyHeader::default());
                // Mostly it is here already.
                self.introduce(token, handler);
            }
            Err(error) => debug!(peer = %proxy, %error, "refused: cannot be watched"),
        }
    }

    /// Reads what a proxy says, and not a byte more.
    pub(crate) fn introduce<H: Handler<Self>>(&mut self, token: Token, handler: &mut H) {
        match self.read_introduction(token) {
            Step::Waits => {}
            Step::Whole(origin) => self.introduced(token, origin, handler),
            Step::Nothing => self.end(token, CloseReason::PeerClosed),
            Step::Failed(why) => self.introduction_failed(token, why, handler),
        }
    }

    /// The proxy did not say whose its connection is.
    pub(crate) fn introduction_failed<H: Handler<Self>>(
        &mut self,
        token: Token,
        why: IntroductionError,
        handler: &mut H,
    ) {
        let Some(proxy) = self.peer(token) else { return };
        self.end(token, CloseReason::Closed);
        handler.not_introduced(proxy, why);
    }

    fn read_introduction(&mut self, token: Token) -> Step {
        let Some(c) = self.conns.get_mut(token) else { return Step::Waits };
        let Phase::Introducing(until) = c.phase else { return Step::Waits };
        let Some(header) = self.introductions.0.get_mut(&(until, token)) else {
            return Step::Waits;
        };
        let mut buffer = [0; ProxyHeader::LONGEST];
        loop {
            let room = header.missing().min(buffer.len());
            let is_fresh = *header == ProxyHeader::default();
            match c.stream.read_below(&mut buffer[..room]) {
                Ok(0) if is_fresh => return Step::Nothing,
                Ok(0) => return Step::Failed(IntroductionError::Closed),
                Ok(count) => match header.take(&buffer[..count]) {
                    Ok(Some(origin)) => return Step::Whole(origin),
                    Ok(None) => {}
                    Err(error) => return Step::Failed(IntroductionError::Header(error)),
                },
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    c.readable = false;
                    return Step::Waits;
                }
                Err(_) if is_fresh => return Step::Nothing,
                Err(_) => return Step::Failed(IntroductionError::Closed),
            }
        }
    }

    /// It is known whose the connection is: from now on it is like any other of that address.
    fn introduced<H: Handler<Self>>(&mut self, token: Token, origin: Origin, handler: &mut H) {
        let Some(proxy) = self.peer(token) else { return };
        let peer = match origin {
            Origin::Proxy => proxy,
            Origin::Client(address) => address,
        };
        self.enter(token, Phase::Open);
        let load = self.load(peer.ip());
        if !handler.accept(peer, load) {
            debug!(%peer, "refused by the application");
            return self.forget(token);
        }
        self.networks.add((self.config.network_of)(peer.ip()));
        if let Some(c) = self.conns.get_mut(token) {
            // Behind the header there may be more.
            (c.peer, c.accepted, c.readable) = (peer, true, true);
        }
        self.queue_read(token);
        handler.opened(self, token, peer);
    }
}
