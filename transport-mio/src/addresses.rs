//! How many accepted connections there are, in all and per address.

use std::collections::HashMap;
use std::net::IpAddr;

/// Counts by address; an address without connections has no entry.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    counts: HashMap<IpAddr, usize>,
    total: usize,
}

impl Addresses {
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn count(&self, address: IpAddr) -> usize {
        self.counts.get(&address).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, address: IpAddr) {
        *self.counts.entry(address).or_default() += 1;
        self.total += 1;
    }

    pub(crate) fn remove(&mut self, address: IpAddr) {
        if let Some(count) = self.counts.get_mut(&address) {
            self.total -= 1;
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_up_down_and_away() {
        let (a, b) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut addresses = Addresses::default();
        addresses.add(a);
        addresses.add(a);
        addresses.add(b);
        assert_eq!((addresses.count(a), addresses.count(b), addresses.total()), (2, 1, 3));
        addresses.remove(a);
        addresses.remove(b);
        addresses.remove(b);
        assert_eq!((addresses.count(a), addresses.count(b), addresses.total()), (1, 0, 1));
        assert_eq!(addresses.counts.len(), 1);
    }
}
