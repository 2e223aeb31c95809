//! Headers with every field at its limits, all op codes, and dates that are none.

use waxwing_core::id::UserId;

use super::case::{Case, KINDS, Kind, SINK, noise, noise_of, seal_off};
use super::document::{Claim, OPS, STATES, State, refusal_by_header, refusal_of_signature};
use crate::peer::Peer;

const EDGES: [u16; 8] = [0, 1, 255, 256, 0x7fff, 0x8000, 0xfffe, 0xffff];
const SIZES: [u16; 30] = [
    0, 1, 15, 16, 31, 32, 33, 47, 48, 49, 127, 128, 255, 256, 257, 549, 550, 551, 741, 742, 743,
    2_047, 2_048, 2_049, 0x7fff, 0x8000, 61_440, 61_441, 65_534, 65_535,
];

/// Any number that is nobody's id; a peer's own is put in when it is known.
const NOBODY: u16 = 0xfff0;
const OWN: u16 = NOBODY;

fn put_own(claim: Claim, own: u16) -> Claim {
    let put = |id| if id == OWN { own } else { id };
    Claim { sender: put(claim.sender), recipient: put(claim.recipient), ..claim }
}

/// The ids that packets of this op have.
fn ids(op: u8) -> (u16, u16) {
    match op {
        100 | 101 => (0, 0),
        102 => (OWN, SINK),
        _ => (OWN, 0),
    }
}

/// All op codes in all states, and behind a 222, where nothing is read any more.
pub(super) fn ops() -> Vec<Case> {
    let mut cases = Vec::new();
    for op in 0..=255 {
        let (sender, recipient) = ids(op);
        let claim = Claim { sender, recipient, op, size: 32 };
        for state in STATES {
            let refusal = refusal_by_header(state, OWN, claim)
                .unwrap_or_else(|| refusal_of_signature(state, op));
            cases.push(noisy(format!("op {op}"), state, claim, false, refusal));
        }
        let after_close = move |peer: &mut Peer| {
            let close = Kind::Close.make(peer);
            let claim = put_own(claim, UserId::wire(peer.id));
            [close, noise_of(peer, claim, false)].concat()
        };
        let name = format!("op {op} after a 222");
        cases.push(Case::new(name, State::Session, after_close, Kind::Close.answer()));
    }
    cases
}

/// Noise of every size, signed and not, for each op where it may come, and as much as there can be
/// for all others.
pub(super) fn sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (state, op) in STATES.into_iter().flat_map(|state| OPS.map(|op| (state, op))) {
        let (sender, recipient) = ids(op);
        for size in SIZES {
            let claim = Claim { sender, recipient, op, size };
            let by_header = refusal_by_header(state, OWN, claim);
            if by_header == Some("244 UnexpectedOp") && size != 65_535 {
                continue;
            }
            for is_signed in [true, false] {
                let name = format!("{op} with {size} bytes of noise, signed: {is_signed}");
                let refusal = match (op, size) {
                    _ if by_header.is_some() => by_header,
                    // In 101 the form of the key comes first.
                    (101, _) => Some("244 WeakKey"),
                    _ if !is_signed => Some(refusal_of_signature(state, op)),
                    (100, _) => Some("244 Malformed"),
                    (106, 48) => Some("244 SessionUnknown of 106"),
                    (106, _) => Some("244 Malformed"),
                    (102, _) => None,
                    (op, _) => Some(refusal_of_signature(state, op)),
                };
                cases.push(match refusal {
                    Some(refusal) => noisy(name, state, claim, is_signed, refusal),
                    // The server does not look into letters.
                    None => {
                        let make = move |peer: &mut Peer| {
                            peer.letter(UserId::new(SINK).unwrap(), &noise(size.into()))
                        };
                        Case::new(name, state, make, &["203 Stored"])
                    }
                });
            }
        }
    }
    cases
}

fn noisy(name: String, state: State, claim: Claim, is_signed: bool, refusal: &'static str) -> Case {
    let make = move |peer: &mut Peer| {
        let claim = put_own(claim, UserId::wire(peer.id));
        noise_of(peer, claim, is_signed)
    };
    Case::refused(name, state, make, refusal)
}

/// Good packets but for one id, under their old signature and under a new one; and swapped ids.
pub(super) fn id_fields() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in KINDS {
        let op = op_of(kind);
        let good = ids(op);
        let changed = EDGES.into_iter().chain([OWN]);
        let changed = changed.flat_map(|id| [(id, good.1), (good.0, id)]).chain([(good.1, good.0)]);
        for (sender, recipient) in changed.filter(|changed| *changed != good) {
            let state = kind.state();
            let claim = Claim { sender, recipient, op, size: size_of(kind) };
            for is_signed in [true, false] {
                let by_header = refusal_by_header(state, OWN, claim);
                let refusal = match kind {
                    _ if by_header.is_some() => by_header.unwrap(),
                    Kind::Letter if is_signed => "244 UnknownRecipient of 102",
                    _ => refusal_of_signature(state, op),
                };
                let make = move |peer: &mut Peer| {
                    let claim = put_own(claim, UserId::wire(peer.id));
                    let mut packet = kind.make(peer);
                    packet[..2].copy_from_slice(&claim.sender.to_le_bytes());
                    packet[2..4].copy_from_slice(&claim.recipient.to_le_bytes());
                    if is_signed { sign_again(peer, packet) } else { packet }
                };
                let name = format!("{kind:?} with ids {sender} {recipient}, signed: {is_signed}");
                cases.push(Case::refused(name, state, make, refusal));
            }
        }
    }
    cases
}

/// Headers that are enough to refuse, and nothing after them.
pub(super) fn without_payload() -> Vec<Case> {
    let mut cases = Vec::new();
    for (state, op) in STATES.into_iter().flat_map(|state| (0..=255).map(move |op| (state, op))) {
        let (sender, recipient) = ids(op);
        let claim = Claim { sender, recipient, op, size: 3_000 };
        // A letter may be as large, and one that is too large is read to its end.
        let Some(refusal) = refusal_by_header(state, OWN, claim) else { continue };
        let make = move |peer: &mut Peer| {
            let claim = put_own(claim, UserId::wire(peer.id));
            let mut packet = noise_of(peer, claim, false);
            packet.truncate(26);
            packet
        };
        cases.push(Case::refused(format!("only the header of {op}"), state, make, refusal));
    }
    cases
}

const BAD_DATES: [&[u8; 19]; 36] = [
    b"2026-02-29 12:00:00",
    b"2026-02-30 12:00:00",
    b"1900-02-29 12:00:00",
    b"2100-02-29 12:00:00",
    b"2024-02-30 12:00:00",
    b"2026-04-31 12:00:00",
    b"2026-06-31 12:00:00",
    b"2026-09-31 12:00:00",
    b"2026-11-31 12:00:00",
    b"2026-01-32 12:00:00",
    b"2026-01-00 12:00:00",
    b"2026-00-01 12:00:00",
    b"2026-13-01 12:00:00",
    b"2026-99-01 12:00:00",
    b"2026-01-99 12:00:00",
    b"2026-01-01 24:00:00",
    b"2026-01-01 25:00:00",
    b"2026-01-01 99:00:00",
    b"2026-01-01 12:60:00",
    b"2026-01-01 12:99:00",
    b"2026-12-31 23:59:60",
    b"2026-06-30 23:59:60",
    b"2026-01-01 12:00:61",
    b"2026-01-01 12:00:99",
    b"2026-01-01T12:00:00",
    b"2026/01/01 12:00:00",
    b"2026-01-01 12.00.00",
    b"2026-01-01 12:00:0 ",
    b" 026-01-01 12:00:00",
    b"+026-01-01 12:00:00",
    b"-026-01-01 12:00:00",
    b"2026-1 -01 12:00:00",
    b"2026-01-01  2:00:00",
    b"0000-00-00 00:00:00",
    &[0; 19],
    &[0xff; 19],
];
const GOOD_DATES: [&[u8; 19]; 6] = [
    b"0000-01-01 00:00:00",
    b"9999-12-31 23:59:59",
    b"1970-01-01 00:00:00",
    b"2000-02-29 12:00:00",
    b"2024-02-29 23:59:59",
    b"0000-02-29 00:00:00",
];

/// Bad dates in every packet, and every byte of a date replaced by what cannot stand there.
pub(super) fn dates() -> Vec<Case> {
    let mut bad: Vec<_> = BAD_DATES.into_iter().copied().collect();
    for at in 0..19 {
        for byte in [0, b' ', b'/', b':', b'A', b'-', 0xb2, 0xff] {
            let mut date = *b"2026-11-22 12:34:56";
            if date[at] != byte {
                date[at] = byte;
                bad.push(date);
            }
        }
    }
    let mut cases = Vec::new();
    for kind in KINDS {
        for date in &bad {
            let refusal = "244 Malformed";
            cases.push(Case::refused(
                format!("{kind:?} of {:?}", String::from_utf8_lossy(date)),
                kind.state(),
                dated(kind, *date),
                refusal,
            ));
        }
        for date in GOOD_DATES {
            let name = format!("{kind:?} of {:?}", String::from_utf8_lossy(date));
            let (state, make) = (kind.state(), dated(kind, *date));
            cases.push(match kind {
                Kind::Letter => Case::refused(name, state, make, "244 StaleTimestamp of 102"),
                _ => Case::new(name, state, make, kind.answer()),
            });
        }
    }
    cases
}

fn dated(kind: Kind, date: [u8; 19]) -> impl Fn(&mut Peer) -> Vec<u8> + Send + Sync + 'static {
    move |peer| {
        let mut packet = kind.make(peer);
        packet[4..23].copy_from_slice(&date);
        sign_again(peer, packet)
    }
}

/// One more and one less in the size, with all the bytes of the good packet behind it.
pub(super) fn off_by_one() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in KINDS {
        let (state, op) = (kind.state(), op_of(kind));
        let (sender, recipient) = ids(op);
        for size in [size_of(kind) - 1, size_of(kind) + 1] {
            let claim = Claim { sender, recipient, op, size };
            let refusal = refusal_by_header(state, OWN, claim)
                .unwrap_or_else(|| refusal_of_signature(state, op));
            let make = move |peer: &mut Peer| {
                let mut packet = kind.make(peer);
                packet[24..26].copy_from_slice(&size.to_le_bytes());
                // What the larger size asks for belongs to the next packet.
                packet.push(0);
                packet
            };
            let name = format!("{kind:?} that claims {size} bytes");
            cases.push(Case::refused(name, state, make, refusal));
        }
    }
    cases
}

fn sign_again(peer: &Peer, mut packet: Vec<u8>) -> Vec<u8> {
    packet.truncate(packet.len() - 256);
    seal_off(peer, packet, true)
}

pub(super) fn op_of(kind: Kind) -> u8 {
    match kind {
        Kind::Request => 100,
        Kind::Proof => 101,
        Kind::Long | Kind::Short => 106,
        Kind::Letter => 102,
        Kind::QuestionById | Kind::QuestionByPhone => 105,
        Kind::Confirmation | Kind::Held | Kind::Queries => 203,
        Kind::Close => 222,
    }
}

pub(super) fn size_of(kind: Kind) -> u16 {
    match kind {
        Kind::Request | Kind::Long => 256,
        Kind::Proof => 550,
        Kind::Short | Kind::QuestionByPhone | Kind::Held | Kind::Queries => 48,
        Kind::Letter => 40,
        Kind::Confirmation | Kind::QuestionById | Kind::Close => 32,
    }
}

/// Ids and sizes that the header alone shows to be wrong (section 15, step 2).
pub(super) fn told_by_header() -> Vec<Case> {
    let wrong = [
        (State::New, Claim { sender: 1, recipient: 0, op: 100, size: 256 }),
        (State::New, Claim { sender: 0, recipient: 0, op: 100, size: 255 }),
        (State::New, Claim { sender: 0, recipient: 0, op: 101, size: 551 }),
        (State::New, Claim { sender: OWN, recipient: 1, op: 106, size: 256 }),
        (State::New, Claim { sender: OWN, recipient: 0, op: 106, size: 255 }),
        (State::Issued, Claim { sender: OWN, recipient: 1, op: 203, size: 32 }),
    ];
    let case = |(state, claim)| {
        let refusal = refusal_by_header(state, OWN, claim).unwrap();
        let make = move |peer: &mut Peer| {
            let mut packet = noise_of(peer, put_own(claim, UserId::wire(peer.id)), false);
            packet.truncate(26);
            packet
        };
        Case::refused(format!("only the header {claim:?}"), state, make, refusal)
    };
    wrong.map(case).into()
}
