//! What the loop may use and how long it waits.

use std::net::IpAddr;
use std::time::Duration;

use crate::networks::Network;

/// Settings of an [`EventLoop`](crate::EventLoop).
///
/// Sizes and counts of zero are taken as one: a loop that may read nothing would never end. The
/// limits [`max_connections`](Self::max_connections), [`low_water`](Self::low_water) and
/// [`max_unsent`](Self::max_unsent) mean zero when they say so.
#[derive(Debug, Clone)]
pub struct Config {
    /// Accepted connections alive at once; more are closed as soon as they are accepted.
    pub max_connections: usize,
    /// The network of an address, which is never an IPv4 address in its IPv6-mapped form. All
    /// connections from one network are counted together (see [`Load`](crate::Load)).
    pub network_of: fn(IpAddr) -> Network,
    /// Connections the kernel may hold for one listener before they are accepted.
    pub backlog: i32,
    /// Connections accepted per listener and turn.
    pub accepts_per_turn: usize,
    /// How long a proxy may take to say whose a connection is
    /// ([`Handler::is_proxy`](crate::Handler::is_proxy)).
    pub introduction: Duration,
    /// Connections of which no proxy has said it yet. They count among all that there may be. One more
    /// closes the one that has waited for longest.
    pub max_introductions: usize,
    /// Pause before accepting is tried again after the process ran out of descriptors or memory.
    /// A connection that closes ends the pause early.
    pub accept_retry: Duration,

    /// Size of the one read buffer of the loop, so also of the largest slice handed to
    /// [`Handler::received`](crate::Handler::received).
    pub read_buffer: usize,
    /// Bytes read from one connection per turn before the others get theirs. They are work as
    /// well: where a packet of some 300 bytes costs a signature, it is 50 of those.
    pub read_budget: usize,
    /// Bytes read per turn after which those whose last portion was a full one wait for the next
    /// turn; one of them goes on in any case. Keeps turns short: what is read is also answered
    /// only when the turn ends.
    pub turn_budget: usize,
    /// Reads made on one connection per turn: a peer that dribbles has a limit too.
    pub reads_per_turn: usize,
    /// Bytes written to one connection per turn.
    pub write_budget: usize,
    /// Kernel events taken per turn; the rest wait for the next.
    pub events_per_turn: usize,

    /// [`Handler::drained`](crate::Handler::drained) is called when a connection's unsent output,
    /// having been above this, falls to it or below.
    pub low_water: usize,
    /// A connection whose unsent output would exceed this is closed with
    /// [`CloseReason::OutputOverflow`](crate::CloseReason::OutputOverflow). A last resort: the
    /// application should stop much earlier, by [`Io::unsent`](crate::Io::unsent).
    pub max_unsent: usize,

    /// Send small writes at once instead of collecting them (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Probe silent peers, so that those that vanished without a word are found.
    pub keepalive: Option<Keepalive>,
    /// How long sent bytes may stay unacknowledged before the connection is given up
    /// (`TCP_USER_TIMEOUT`, where the system has it).
    pub user_timeout: Option<Duration>,
    /// Kernel send buffer per connection; `None` leaves it to the system.
    pub send_buffer: Option<usize>,
    /// Kernel receive buffer per connection; `None` leaves it to the system.
    pub receive_buffer: Option<usize>,

    /// After the output is flushed and our FIN sent: how long to wait for the peer's FIN. Closing
    /// without waiting could destroy the tail on its way, because bytes of the peer that nobody
    /// read turn the close into a reset.
    pub linger: Duration,
    /// After the peer's FIN: how long its queued output may take.
    pub half_close_flush: Duration,
    /// After [`Io::stop`](crate::Io::stop): how long all connections may take to flush.
    pub shutdown_grace: Duration,
}

/// When and how often a silent peer is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between two probes that have no answer.
    pub interval: Duration,
    /// Unanswered probes after which the connection is dead.
    pub retries: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 65_536,
            network_of: host,
            backlog: 1024,
            accepts_per_turn: 64,
            introduction: Duration::from_secs(5),
            max_introductions: 1024,
            accept_retry: Duration::from_millis(100),
            read_buffer: 64 * KIB,
            read_budget: 16 * KIB,
            turn_budget: 64 * KIB,
            reads_per_turn: 8,
            write_budget: 256 * KIB,
            events_per_turn: 1024,
            low_water: 64 * KIB,
            max_unsent: 64 * KIB * KIB,
            nodelay: true,
            keepalive: Some(Keepalive::default()),
            user_timeout: Some(Duration::from_secs(120)),
            send_buffer: None,
            receive_buffer: None,
            linger: Duration::from_secs(1),
            half_close_flush: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), interval: Duration::from_secs(15), retries: 4 }
    }
}

impl Config {
    /// The same settings with every zero raised to one. The kernel counts keepalive in seconds.
    pub(crate) fn at_least_one(mut self) -> Self {
        for count in [
            &mut self.accepts_per_turn,
            &mut self.max_introductions,
            &mut self.read_buffer,
            &mut self.read_budget,
            &mut self.turn_budget,
            &mut self.reads_per_turn,
            &mut self.write_budget,
            &mut self.events_per_turn,
        ] {
            *count = (*count).max(1);
        }
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.idle = keepalive.idle.max(Duration::from_secs(1));
            keepalive.interval = keepalive.interval.max(Duration::from_secs(1));
            keepalive.retries = keepalive.retries.max(1);
        }
        self
    }
}

/// An IPv4 address, or the /64 of an IPv6 address, in which its host can take any other.
fn host(address: IpAddr) -> Network {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as Network,
    }
}

const KIB: usize = 1024;
