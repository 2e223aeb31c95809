//! Limits of the configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Finding, Place};
use crate::config::AddressRange;

/// Networks of one's own, which nobody in the Internet has an address of.
const OWN: [AddressRange; 8] = [
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v6(0xfc00, 7),
    v6(0xfe80, 10),
    AddressRange::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
];

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> AddressRange {
    AddressRange::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits)
}

const fn v6(first: u16, bits: u8) -> AddressRange {
    AddressRange::new(IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), bits)
}

pub(super) fn exempt(place: &Place<'_>) -> Finding {
    judge_exempt(&place.config.limits.exempt)
}

fn judge_exempt(ranges: &[AddressRange]) -> Finding {
    let is_own = |range: &AddressRange| OWN.iter().any(|own| range.is_within(*own));
    let public: Vec<_> =
        ranges.iter().filter(|range| !is_own(range)).map(ToString::to_string).collect();
    if public.is_empty() {
        return Finding::ok("no address of the Internet is");
    }
    Finding::warn(
        format!("limits per address do not apply to {}", public.join(", ")),
        "name those addresses alone in limits.exempt whose people you know; a proxy belongs into \
         server.proxies",
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
            ("172.31.0.0/16", Verdict::Ok),
            ("169.254.7.7", Verdict::Ok),
            ("::ffff:10.1.2.3/104", Verdict::Ok),
            ("fd00::/8", Verdict::Ok),
            ("fe80::/10", Verdict::Ok),
            ("::1", Verdict::Ok),
            ("8.8.8.8", Verdict::Warn),
            ("10.0.0.0/7", Verdict::Warn),
            ("192.168.0.0/8", Verdict::Warn),
            ("172.16.0.0/9", Verdict::Warn),
            ("fd00::/6", Verdict::Warn),
            ("0.0.0.0/0", Verdict::Warn),
            ("2001:db8::/32", Verdict::Warn),
            ("::/0", Verdict::Warn),
        ] {
            let parsed: AddressRange = range.parse().unwrap();
            assert_eq!(judge_exempt(&[parsed]).verdict, verdict, "{range}");
        }
        assert_eq!(judge_exempt(&[]).verdict, Verdict::Ok);
    }
}
