//! The addresses of this machine.

use std::net::IpAddr;

/// Where to learn which addresses the machine has. They change while it runs.
pub type OwnAddresses = fn() -> Vec<IpAddr>;

/// Those of its interfaces, the loopback among them; none where the system does not say.
pub fn of_interfaces() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => {
            interfaces.iter().map(|interface| interface.ip().to_canonical()).collect()
        }
        Err(error) => {
            tracing::debug!(%error, "the addresses of this machine are not known");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn they_are_those_on_which_one_can_listen() {
        let own = of_interfaces();
        assert!(own.iter().any(IpAddr::is_loopback), "{own:?}");
        // One of a link alone needs to be told which link.
        let is_of_a_link =
            |address: &&IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        for address in own.iter().filter(|address| !is_of_a_link(address)) {
            UdpSocket::bind((*address, 0)).unwrap();
        }
    }
}
