//! How many accepted connections there are, in all and per network.

use std::collections::HashMap;

/// A network, as [`Config::network_of`](crate::Config::network_of) names it.
pub type Network = u64;

/// Counts by network; a network without connections has no entry.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    counts: HashMap<Network, usize>,
    total: usize,
}

/// How many connections are being served when another one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// How many come from the network of the new one.
    pub from_network: usize,
    /// How many there are in all.
    pub total: usize,
    /// How many there may be in all, more than `total`.
    pub places: usize,
}

impl Networks {
    pub(crate) fn load(&self, network: Network, places: usize) -> Load {
        let from_network = self.counts.get(&network).copied().unwrap_or(0);
        Load { from_network, total: self.total, places }
    }

    pub(crate) fn add(&mut self, network: Network) {
        *self.counts.entry(network).or_default() += 1;
        self.total += 1;
    }

    pub(crate) fn remove(&mut self, network: Network) {
        if let Some(count) = self.counts.get_mut(&network) {
            self.total -= 1;
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_up_down_and_away() {
        let (a, b) = (1, 2);
        let mut networks = Networks::default();
        networks.add(a);
        networks.add(a);
        networks.add(b);
        let load = |from_network, total| Load { from_network, total, places: 9 };
        assert_eq!((networks.load(a, 9), networks.load(b, 9)), (load(2, 3), load(1, 3)));
        networks.remove(a);
        networks.remove(b);
        networks.remove(b);
        assert_eq!((networks.load(a, 9), networks.load(b, 9)), (load(1, 1), load(0, 1)));
        assert_eq!(networks.counts.len(), 1);
    }
}
