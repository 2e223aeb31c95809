//! Replays every input that is kept, and holds each seed to what its name says.

use std::collections::BTreeSet;

use waxwing_core::wire::Op;
use waxwing_core_fuzz::seeds::Expected;
use waxwing_core_fuzz::{Reached, TARGETS, name_of, test_seeds};

const NOBODY: &str = "to or from nobody that has an id";
const FROM: &str = "from a client";
const TO: &str = "to a client";
const BETWEEN: &str = "from client to client";

const EXPECTED: &[Expected] = &[
    (
        "packet_parse",
        &[
            ("100", &["100", NOBODY]),
            ("101", &["101", NOBODY]),
            ("102", &["102", BETWEEN]),
            ("102-empty", &["102", BETWEEN]),
            ("102-largest", &["102", BETWEEN]),
            ("105-id", &["105", FROM]),
            ("105-phone", &["105", FROM]),
            ("106-long", &["106", FROM]),
            ("106-short", &["106", FROM]),
            ("150", &["150", NOBODY]),
            ("200", &["200", NOBODY]),
            ("201", &["201", TO]),
            ("203-confirmation", &["203", FROM]),
            ("203-held", &["203", FROM]),
            ("203-queries", &["203", FROM]),
            ("203-shared", &["203", NOBODY]),
            ("203-statuses", &["203", TO]),
            ("204", &["204", TO]),
            ("206", &["206", TO]),
            ("222-client", &["222", FROM]),
            ("222-server", &["222", TO]),
            ("244-clear", &["244", NOBODY]),
            ("244-sealed", &["244", TO]),
            ("255-sealed", &["255", TO]),
            ("255-shared", &["255", NOBODY]),
        ],
    ),
    (
        "packet_roundtrip",
        &[
            ("100", &["100"]),
            ("101", &["101"]),
            ("101-in-two-parts", &["101, in two parts"]),
            ("105-id", &["105"]),
            ("105-phone", &["105"]),
            ("105-server", &["105"]),
            ("106-long", &["106"]),
            ("106-short", &["106"]),
            ("106-short-and-a-byte", &["refused"]),
            ("150", &["150"]),
            ("200", &["200"]),
            ("200-no-code", &["200"]),
            ("201", &["201"]),
            ("203-confirmation", &["203 of a client"]),
            ("203-held", &["203 of a client"]),
            ("203-held-count-below-the-ids", &["refused"]),
            ("203-no-queries", &["refused"]),
            ("203-queries", &["203 of a client"]),
            ("203-queries-too-many-bytes", &["refused"]),
            ("203-shared", &["203 for all"]),
            ("203-shared-no-status", &["refused"]),
            ("203-statuses", &["203"]),
            ("204", &["204"]),
            ("204-server", &["204 about the server"]),
            ("222", &["222"]),
            ("244", &["244"]),
            ("244-longest", &["244"]),
            ("244-shared", &["244"]),
            ("244-too-long", &["refused"]),
            ("255", &["255"]),
            ("255-of-another-session", &["refused"]),
            ("255-shared", &["255 for all"]),
        ],
    ),
    (
        "stream_fragments",
        &[
            ("102-empty", &["one packet, or none"]),
            ("large", &["packets"]),
            ("mixed", &["packets"]),
            ("single-bytes", &["packets"]),
        ],
    ),
    (
        "seen_letters",
        &[
            ("large", &["a new letter", "a letter once more", "a restart"]),
            ("middling", &["a new letter", "a letter that is too old", "a restart"]),
            ("page", &["taken"]),
            ("small", &["a new letter", "a letter that is too old", "a restart"]),
        ],
    ),
    (
        "timestamp",
        &[
            ("day-behind-the-leap-day", &["refused"]),
            ("first", &["taken"]),
            ("last", &["taken"]),
            ("leap-day", &["taken"]),
            ("no-leap-day", &["refused"]),
            ("now", &["taken"]),
        ],
    ),
    (
        "phone_otp",
        &[
            ("code", &["a code"]),
            ("longest", &["a phone"]),
            ("phone", &["a phone"]),
            ("short", &["a phone"]),
            ("too-long", &["refused"]),
            ("too-short", &["refused"]),
        ],
    ),
    (
        "proxy_header",
        &[
            ("byte-by-byte", &["a client over IPv4"]),
            ("half", &["unfinished"]),
            ("ipv4", &["a client over IPv4"]),
            ("local", &["the proxy's own"]),
            ("longest", &["a client over IPv6"]),
            ("mapped", &["a client over IPv4"]),
            ("no-address", &["something else"]),
            ("unix", &["something else"]),
            ("version-1", &["something else"]),
        ],
    ),
];

test_seeds!(TARGETS, EXPECTED);

/// As PROTOCOL.md, "Op codes", has them: 203 and 222 go both ways.
#[test]
fn there_is_a_seed_for_every_op_in_every_direction() {
    let seeds = |target: &str| {
        let (_, seeds) = EXPECTED.iter().find(|(name, _)| *name == target).unwrap();
        seeds.iter().map(|(_, reached)| Reached::from_iter(reached.iter().copied()))
    };
    let packets: Vec<_> = seeds("packet_parse").collect();
    let bodies: BTreeSet<_> = seeds("packet_roundtrip").flatten().collect();
    for op in Op::ALL {
        let name = name_of(*op);
        let is_there = |direction| packets.contains(&Reached::from([name, direction]));
        let directions: &[&str] = match op {
            Op::RegistrationRequest | Op::OtpProof | Op::RegistrationRejected | Op::OtpIssued => {
                &[NOBODY]
            }
            Op::Letter => &[BETWEEN],
            Op::KeyQuestion | Op::ReconnectRequest => &[FROM],
            Op::SessionIssued | Op::KeyAnswer | Op::SessionRenewed => &[TO],
            Op::Acknowledgment => &[FROM, TO, NOBODY],
            Op::Close => &[FROM, TO],
            Op::Refusal | Op::BacklogEnd => &[TO, NOBODY],
        };
        assert!(directions.iter().all(|direction| is_there(direction)), "{name}");
        // A letter holds an envelope, and a 206 what a 201 holds.
        let has_body = ![Op::Letter, Op::SessionRenewed].contains(op);
        assert!(!has_body || bodies.contains(name), "no body of a {name}");
    }
    assert!(bodies.contains("203 of a client"));
}
