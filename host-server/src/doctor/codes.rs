//! One-time passwords.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::{Finding, Place, another_user};
use crate::admin::commands::status::Status;
use crate::config::DeliveryKind;
use crate::figures;
use crate::otp;
use crate::otp::FAILURES;

/// How long a gateway may take to be connected to.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn delivery(place: &Place<'_>) -> Finding {
    let config = place.config;
    if !config.otp.ways().any(|way| matches!(way, DeliveryKind::Exec | DeliveryKind::Webhook)) {
        return Finding::skipped("neither a program nor a gateway delivers codes");
    }
    let has_fallback = config.otp.ways().count() > 1;
    let failing = place.status().map(Status::failing_ways).unwrap_or_default();
    if let Some(found) = judge_failing(&failing, has_fallback) {
        return found;
    }
    // Who can change a program is asked for the user who runs it.
    if let Some(skipped) = another_user(config) {
        return skipped;
    }
    if let Err(error) = otp::check(&config.otp) {
        return Finding::fail(error.to_string(), "newcomers get no code until that is put right");
    }
    let uses_gateway = config.otp.ways().any(|way| way == DeliveryKind::Webhook);
    let gateway = uses_gateway.then(|| authority(&config.otp.webhook.url)).flatten();
    match gateway {
        None => Finding::ok("it can be used; `waxwing-server otp test PHONE` sends a code"),
        Some(gateway) => judge_gateway(&gateway, connect(&gateway)),
    }
}

/// The server that runs remembers ways on which the last codes did not get through, until one does. As many as make it
/// leave a way alone for a while are no accident.
fn judge_failing(ways: &[(&str, u32, Duration)], has_fallback: bool) -> Option<Finding> {
    let most = ways.iter().map(|(_, failures, _)| *failures).max()?;
    let each = ways.iter().map(|(way, failures, ago)| {
        let ago = figures::span(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX));
        format!("{failures} by {way}, the last one {ago} ago")
    });
    let each = each.collect::<Vec<_>>().join(", and ");
    let found = format!("the last codes did not get through: {each}");
    let second = if has_fallback { ", with --fallback the way of otp.fallback" } else { "" };
    let help = format!("the log says why; `waxwing-server otp test PHONE` tries it again{second}");
    Some(if most < FAILURES { Finding::warn(found, help) } else { Finding::fail(found, help) })
}

/// Host and port of a URL.
fn authority(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit())
    });
    let port = if scheme == "http" { 80 } else { 443 };
    Some(if has_port { host.to_owned() } else { format!("{host}:{port}") })
}

fn connect(gateway: &str) -> Result<(), String> {
    let mut addresses = gateway.to_socket_addrs().map_err(|error| error.to_string())?;
    let address = addresses.next().ok_or("the name has no address")?;
    TcpStream::connect_timeout(&address, PATIENCE).map(drop).map_err(|error| error.to_string())
}

fn judge_gateway(gateway: &str, connected: Result<(), String>) -> Finding {
    match connected {
        Ok(()) => Finding::ok(format!(
            "{gateway} can be connected to; `waxwing-server otp test PHONE` sends a code"
        )),
        Err(why) => Finding::fail(
            format!("the gateway {gateway} cannot be connected to: {why}"),
            "does otp.webhook.url name it right, and may this machine get there?",
        ),
    }
}

pub(super) fn public(place: &Place<'_>) -> Finding {
    let config = place.config;
    let listens = config.server.listen.iter().any(|address| !address.ip().is_loopback());
    let ways: Vec<_> = config.otp.ways().collect();
    judge_public(&ways, listens || !config.server.proxies.is_empty())
}

fn judge_public(ways: &[DeliveryKind], is_public: bool) -> Finding {
    const DELIVERY: &str = "let otp.delivery be \"exec\" or \"webhook\"; see \"One-time passwords\" in \
                            OPERATING.md";
    const FALLBACK: &str = "let otp.fallback be empty, \"exec\" or \"webhook\"";
    if !is_public {
        return Finding::ok("nobody but this machine can reach the server");
    }
    if ways.contains(&DeliveryKind::InBand) {
        return Finding::fail(
            "everybody is told the code of every phone (otp.delivery = \"in-band\"), and others can reach the \
             server: anybody can register any phone",
            DELIVERY,
        );
    }
    match ways.iter().position(|way| *way == DeliveryKind::Console) {
        Some(0) => Finding::warn(
            "codes are written to the log (otp.delivery = \"console\"): whoever reads it can register any \
             phone",
            DELIVERY,
        ),
        Some(_) => Finding::warn(
            "codes that cannot be delivered are written to the log (otp.fallback = \"console\"): whoever \
             reads it can register any phone while they cannot",
            FALLBACK,
        ),
        None => Finding::ok("they go to the phones alone"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn what_the_server_knows_of_codes_counts() {
        assert_eq!(judge_failing(&[], true), None);
        let ago = Duration::from_secs(40);
        let found = judge_failing(&[("exec", 1, ago)], false).unwrap();
        assert_eq!(found.verdict, Verdict::Warn);
        assert!(!found.help.unwrap().contains("--fallback"));
        let found = judge_failing(&[("exec", 7, ago), ("webhook", 1, ago)], true).unwrap();
        assert_eq!(found.verdict, Verdict::Fail);
        let each = "7 by exec, the last one 40 s ago, and 1 by webhook, the last one 40 s ago";
        assert!(found.found.ends_with(each), "{}", found.found);
        assert!(found.help.unwrap().contains("--fallback"));
    }

    #[test]
    fn a_gateway_is_named_by_its_url() {
        for (url, expected) in [
            ("https://gate.example/send?key=1", "gate.example:443"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("https://[::1]/x", "[::1]:443"),
            ("https://[::1]:9/x", "[::1]:9"),
            ("https://user:secret@gate.example/", "gate.example:443"),
        ] {
            assert_eq!(authority(url).as_deref(), Some(expected), "{url}");
        }
        assert_eq!(authority("gate.example"), None);
        assert_eq!(judge_gateway("a:1", Ok(())).verdict, Verdict::Ok);
        assert_eq!(judge_gateway("a:1", Err("refused".into())).verdict, Verdict::Fail);
    }

    #[test]
    fn codes_that_others_see_are_told_of_where_others_come() {
        use DeliveryKind::{Console, Exec, InBand, Webhook};
        for (ways, verdict) in [
            (&[InBand][..], Verdict::Fail),
            (&[Console], Verdict::Warn),
            (&[Exec], Verdict::Ok),
            (&[Webhook], Verdict::Ok),
            (&[Webhook, Exec], Verdict::Ok),
            (&[Exec, Console], Verdict::Warn),
            (&[Console, Exec], Verdict::Warn),
        ] {
            assert_eq!(judge_public(ways, true).verdict, verdict, "{ways:?}");
            assert_eq!(judge_public(ways, false).verdict, Verdict::Ok);
        }
        let named = |ways: &[DeliveryKind]| judge_public(ways, true).found;
        assert!(named(&[Exec, Console]).contains("otp.fallback"));
        assert!(named(&[Console, Exec]).contains("otp.delivery"));
    }
}
