//! Packets whose header is good and whose rest is not; and good ones that come in odd ways.

use waxwing_core::limits::{HEADER_LEN, SIGNATURE_LEN};
use waxwing_testkit::packets;

use super::case::{Case, KINDS, Kind, Way};
use super::document::{State, refusal_of_signature};
use super::headers::{op_of, size_of};
use crate::peer::Peer;

/// One bit flipped in every byte behind the header, for some in every eighth.
pub(super) fn flips() -> Vec<Case> {
    use Kind::{Close, Confirmation, Held, Letter, Long, Proof, QuestionById, Request, Short};

    /// The form of a public key in 101 (section 5): outside of the modulus, and its last byte.
    fn is_form(at: usize) -> bool {
        let spki = HEADER_LEN + 256;
        (spki..spki + 33).contains(&at) || (spki + 288..spki + 294).contains(&at)
    }
    let all = [
        (Request, 538, 1),
        (Proof, 832, 1),
        (Long, 538, 1),
        (Short, 330, 1),
        (Confirmation, 314, 2),
        (Letter, 322, 4),
        (QuestionById, 314, 4),
        (Held, 330, 8),
        (Close, 314, 8),
    ];
    let mut cases = Vec::new();
    for (kind, len, step) in all {
        for at in (HEADER_LEN..len).step_by(step) {
            let refusal = match kind {
                Proof if is_form(at) => "244 WeakKey",
                _ => refusal_of_signature(kind.state(), op_of(kind)),
            };
            let make = move |peer: &mut Peer| packets::flipped(&kind.make(peer), at);
            let name = format!("{kind:?} with a flip in byte {at}");
            cases.push(Case::refused(name, kind.state(), make, refusal));
        }
    }
    cases
}

/// Good signatures, but of other bytes; and numbers that are no signatures of anything.
pub(super) fn signatures() -> Vec<Case> {
    type Forge = fn(&Peer, &[u8]) -> Vec<u8>;
    let forgeries: [(&str, Forge); 6] = [
        ("of another packet", |peer, _| peer.packet(102, b"another packet")),
        ("of the header alone", |peer, packet| peer.sign(packet[..HEADER_LEN].to_vec())),
        ("of all but the header", |peer, packet| {
            peer.sign(packet[HEADER_LEN..packet.len() - SIGNATURE_LEN].to_vec())
        }),
        ("of nothing", |peer, _| peer.sign(Vec::new())),
        ("of ones, above every modulus", |_, _| vec![0xff; SIGNATURE_LEN]),
        ("that is one", |_, _| [vec![0; SIGNATURE_LEN - 1], vec![1]].concat()),
    ];
    let mut cases = Vec::new();
    for (kind, (what, forge)) in KINDS.into_iter().flat_map(|k| forgeries.map(|f| (k, f))) {
        let make = move |peer: &mut Peer| {
            let mut packet = kind.make(peer);
            let forged = forge(peer, &packet);
            let place = packet.len() - SIGNATURE_LEN;
            packet[place..].copy_from_slice(&forged[forged.len() - SIGNATURE_LEN..]);
            packet
        };
        let refusal = refusal_of_signature(kind.state(), op_of(kind));
        cases.push(Case::refused(
            format!("{kind:?}, a signature {what}"),
            kind.state(),
            make,
            refusal,
        ));
    }
    cases
}

/// Sealed well, with contents that are none (section 23: Malformed, and it ends the session).
pub(super) fn contents() -> Vec<Case> {
    let too_many = |kind: u8, entry: usize, count: u16, said: u16| {
        let [low, high] = said.to_le_bytes();
        [vec![kind, low, high], vec![7; entry * usize::from(count)]].concat()
    };
    let in_session: Vec<(u8, Vec<u8>)> = vec![
        (105, vec![]),
        (105, vec![0]),
        (105, vec![1]),
        (105, vec![1, 0]),
        (105, vec![1, 1, 0, 0]),
        (105, vec![2]),
        (105, vec![2, 0]),
        (105, b"\x02\x08+0234567".into()),
        (105, b"\x02\x07+123456".into()),
        (105, b"\x02\x08+1234567x".into()),
        (105, b"\x02\x0912345678".into()),
        (105, b"\x02\x08+12345 7".into()),
        (105, vec![3, 0, 0]),
        (105, vec![0xff; 11]),
        (203, vec![]),
        (203, vec![1]),
        (203, vec![1, 0]),
        (203, vec![1, 0, 0, 0]),
        (203, vec![2]),
        (203, vec![2, 0, 0]),
        (203, too_many(1, 16, 113, 113)),
        (203, too_many(2, 18, 111, 111)),
        (203, vec![3, 0]),
        (203, vec![0]),
        (203, vec![0xff; 27]),
        (203, too_many(1, 16, 1, 2)),
        (203, too_many(1, 16, 2, 1)),
        (203, too_many(1, 16, 1, 0x8000)),
        (203, too_many(1, 16, 1, 0xffff)),
        (203, too_many(2, 18, 1, 2)),
        (203, too_many(2, 18, 2, 1)),
        (203, [&[2, 1, 0, 0, 0][..], &[7; 16]].concat()),
        (222, vec![]),
        (222, vec![0]),
        (222, vec![5]),
        (222, vec![0xff]),
        (222, vec![1, 1]),
    ];
    let mut cases = Vec::new();
    for (op, content) in in_session {
        let refusal = match op {
            105 => "244 Malformed of 105",
            203 => "244 Malformed of 203",
            _ => "244 Malformed of 222",
        };
        let name = format!("{op} around {content:?}");
        let make = move |peer: &mut Peer| peer.sealed(op, &content);
        cases.push(Case::refused(name, State::Session, make, refusal));
    }
    for window in [0, 129, 255] {
        let make = move |peer: &mut Peer| peer.confirmation(window);
        cases.push(Case::refused(format!("window {window}"), State::Issued, make, "244 Malformed"));
    }
    let late = |peer: &mut Peer| peer.confirmation(1);
    cases.push(Case::refused(
        "a second confirmation",
        State::Session,
        late,
        "244 UnexpectedOp of 203",
    ));
    for skipped in [1, 2, 255] {
        let make = move |peer: &mut Peer| {
            (0..skipped).for_each(|_| drop(peer.sealed(203, &[1, 0, 0])));
            Kind::QuestionById.make(peer)
        };
        let (name, refusal) = (format!("{skipped} numbers later"), "244 BadSequence of 105");
        cases.push(Case::refused(name, State::Session, make, refusal));
    }
    cases.extend(requests());
    cases
}

/// Blocks of a 100 that open, with other fields in them.
fn requests() -> impl Iterator<Item = Case> {
    let key = [7; 32];
    let block = move |phone: &[u8]| [&key[..], &[phone.len() as u8], phone].concat();
    let malformed = [
        vec![],
        vec![7],
        key.to_vec(),
        key[1..].to_vec(),
        [&key[..], &[8], b"+123456"].concat(),
        [&key[..], &[8], b"+12345678"].concat(),
        [&key[..], &[255], b"+1234567"].concat(),
    ];
    let phones: [&[u8]; 9] = [
        b"12345678",
        b"+0234567",
        b"+123456",
        b"+1234567x",
        b"+12345\x0067",
        b"++123456",
        b"+123 567",
        b"+12345678\n",
        b"'; drop--",
    ];
    let malformed = malformed.into_iter().map(|block| (block, "244 Malformed of 100"));
    let phones = phones.into_iter().map(move |phone| (block(phone), "244 BadPhone of 100"));
    malformed.chain(phones).map(|(block, refusal)| {
        let name = format!("100 around {:?}", String::from_utf8_lossy(&block));
        let make = move |peer: &mut Peer| peer.request_with(&block);
        Case::refused(name, State::New, make, refusal)
    })
}

/// Good packets, a byte at a time.
pub(super) fn dribbled() -> Vec<Case> {
    let case = |kind: Kind| {
        let make = move |peer: &mut Peer| kind.make(peer);
        let name = format!("{kind:?} in single bytes");
        Case::new(name, kind.state(), make, kind.answer()).by(Way::ByteByByte)
    };
    KINDS.map(case).into()
}

/// Two packets in one segment, and in two that are cut elsewhere than between them.
pub(super) fn glued() -> Vec<Case> {
    use Kind::{
        Close, Confirmation, Held, Letter, Long, Proof, QuestionById, QuestionByPhone, Request,
        Short,
    };

    let pairs: [(Kind, Kind, &[&'static str]); 19] = [
        (Request, Request, &["150", "150"]),
        (Request, Long, &["150", "206"]),
        (Request, Short, &["150", "206"]),
        (Request, Proof, &["150", "201"]),
        (Long, Long, &["206", "244 UnexpectedOp", "end"]),
        (Long, Request, &["206", "244 UnexpectedOp", "end"]),
        (Short, Long, &["206", "244 UnexpectedOp", "end"]),
        (Long, Letter, &["206", "244 UnexpectedOp", "end"]),
        (Confirmation, QuestionById, &["255", "204"]),
        (Confirmation, Letter, &["255", "203 Stored"]),
        (Letter, Letter, &["203 Stored", "203 Stored"]),
        (Letter, QuestionById, &["203 Stored", "204"]),
        (QuestionById, QuestionByPhone, &["204", "204"]),
        (Held, QuestionById, &["204"]),
        (Held, Held, &[]),
        (QuestionById, Close, &["204", "222 Leaving", "end"]),
        (Letter, Close, &["203 Stored", "222 Leaving", "end"]),
        (Close, Letter, &["222 Leaving", "end"]),
        (Close, QuestionById, &["222 Leaving", "end"]),
    ];
    let mut cases = Vec::new();
    for (first, second, expected) in pairs {
        let both = move |peer: &mut Peer| [first.make(peer), second.make(peer)].concat();
        let name = format!("{first:?} and {second:?}");
        cases.push(Case::new(&name, first.state(), both, expected));
        let len = HEADER_LEN + usize::from(size_of(first)) + SIGNATURE_LEN;
        for at in [1, 25, 26, 27, len - 1, len + 1, len + 25, len + 26, len + 27, len + 200] {
            let case = Case::new(format!("{name}, cut at {at}"), first.state(), both, expected);
            cases.push(case.by(Way::InTwo { at }));
        }
    }
    cases
}
