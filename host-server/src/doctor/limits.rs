//! Limits: of the configuration, and of the process.

use std::net::IpAddr;

use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::config::{AddressRange, Config};
use crate::descriptors;

pub(super) fn exempt(config: &Config) -> Finding {
    judge_exempt(&config.limits.exempt)
}

fn judge_exempt(ranges: &[AddressRange]) -> Finding {
    let public: Vec<_> =
        ranges.iter().map(ToString::to_string).filter(|range| is_public(range)).collect();
    if public.is_empty() {
        return Finding::ok("no address of the Internet is");
    }
    Finding::warn(
        format!("limits per address do not apply to {}", public.join(", ")),
        "name those addresses alone in limits.exempt whose people you know; a proxy belongs into \
         server.proxies",
    )
}

/// Whether a range has addresses that are not of a network of one's own.
fn is_public(range: &str) -> bool {
    let (address, length) = range.split_once('/').unwrap_or((range, "128"));
    let length: u8 = length.parse().unwrap_or(0);
    match address.parse() {
        Ok(IpAddr::V4(ip)) => {
            // The widest of them is a /8.
            length < 8 || !(ip.is_private() || ip.is_loopback() || ip.is_link_local())
        }
        Ok(IpAddr::V6(ip)) => {
            length < 7 || !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
        Err(_) => true,
    }
}

pub(super) fn open_files(_: &Config) -> Finding {
    let granted = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    judge_open_files(descriptors::places(granted))
}

/// Fewer connections than this are few.
const FEW: usize = 10_000;

fn judge_open_files(places: usize) -> Finding {
    let found =
        format!("a process that is started like this one has room for {places} connections");
    if places >= FEW {
        return Finding::ok(found);
    }
    Finding::warn(
        found,
        "raise the limit of open files: LimitNOFILE in the unit, as in the one of the package, or ulimit -Hn",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn networks_of_ones_own_may_be_exempt() {
        for (range, verdict) in [
            ("10.0.0.0/8", Verdict::Ok),
            ("192.168.7.0/24", Verdict::Ok),
            ("127.0.0.1", Verdict::Ok),
            ("fd00::/8", Verdict::Ok),
            ("::1", Verdict::Ok),
            ("8.8.8.8", Verdict::Warn),
            ("10.0.0.0/7", Verdict::Warn),
            ("0.0.0.0/0", Verdict::Warn),
            ("2001:db8::/32", Verdict::Warn),
            ("::/0", Verdict::Warn),
        ] {
            let parsed: AddressRange = range.parse().unwrap();
            assert_eq!(judge_exempt(&[parsed]).verdict, verdict, "{range}");
        }
        assert_eq!(judge_exempt(&[]).verdict, Verdict::Ok);
    }

    #[test]
    fn few_connections_are_told_of() {
        let verdicts = [960, 9_999, 10_000].map(|places| judge_open_files(places).verdict);
        assert_eq!(verdicts, [Verdict::Warn, Verdict::Warn, Verdict::Ok]);
    }
}
