//! Which address of a server comes next.

use crate::home::{Home, HomeError};
use crate::servers::Servers;

/// The addresses of a server, and the one of them whose turn it is.
pub(super) struct Addresses {
    servers: Servers,
    at: usize,
    /// So many have failed in this round.
    failed: usize,
}

impl Addresses {
    pub(super) const fn new(servers: Servers) -> Self {
        Self { servers, at: 0, failed: 0 }
    }

    /// The home has these now.
    pub(super) fn follow(&mut self, servers: Servers) {
        if servers != self.servers {
            *self = Self::new(servers);
        }
    }

    /// All of them, the one whose turn it is first.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = &str> {
        self.servers.from(self.at)
    }

    /// So many have failed.
    pub(super) fn pass(&mut self, failed: usize) {
        self.at = self.at.saturating_add(failed) % self.servers.count().max(1);
        self.failed = self.failed.saturating_add(failed);
    }

    /// Whether all have failed since the last round.
    pub(super) const fn is_round_over(&self) -> bool {
        self.failed >= self.servers.count()
    }

    pub(super) const fn begin_round(&mut self) {
        self.failed = 0;
    }

    /// The server is at the address whose turn it is. The next process, too, begins with this one.
    ///
    /// # Errors
    /// As the home's.
    pub(super) fn found(&mut self, home: &Home) -> Result<(), HomeError> {
        if self.at != 0 {
            let now = self.servers.beginning_at(self.at);
            home.found_server(&self.servers, &now)?;
            *self = Self::new(now);
        }
        self.begin_round();
        Ok(())
    }
}
