//! What PROTOCOL.md says about a packet of a client, as far as its header tells. From the tables
//! of sections 3, 14, 23 and 25, not from the code.

use std::ops::RangeInclusive;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    New,
    Issued,
    Session,
}

pub(super) const STATES: [State; 3] = [State::New, State::Issued, State::Session];

/// Section 3: "no other op code exists".
pub(super) const OPS: [u8; 14] =
    [100, 101, 102, 105, 106, 150, 200, 201, 203, 204, 206, 222, 244, 255];

/// What the header says, after the timestamp.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) sender: u16,
    pub(super) recipient: u16,
    pub(super) op: u8,
    pub(super) size: u16,
}

/// Whose id stands in a header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Id {
    Zero,
    /// The maker's.
    Own,
    /// In 106: whoever it is, and in 102 the recipient. Other checks find out.
    Any,
}

/// What may come in a state.
struct Row {
    state: State,
    op: u8,
    from: Id,
    to: Id,
    sizes: &'static [RangeInclusive<u16>],
    /// What another size is refused with.
    otherwise: &'static str,
    /// What a signature that does not hold is refused with.
    unsigned: &'static str,
}

/// "Before a session no packet is above 1 KiB."
const MOST_BEFORE_SESSION: u16 = 1_024 - 282;
const MAX_LETTER: u16 = 60 * 1_024;
/// Code 19 comes with the packet's id unless the header was enough: for a size it may be.
const BAD_SIZE: &str = "244 BadSequence?";

const ROWS: [Row; 8] = {
    use Id::{Any, Own, Zero};
    use State::{Issued, New, Session};

    const fn row(
        state: State,
        op: u8,
        (from, to): (Id, Id),
        sizes: &'static [RangeInclusive<u16>],
        otherwise: &'static str,
        unsigned: &'static str,
    ) -> Row {
        Row { state, op, from, to, sizes, otherwise, unsigned }
    }
    const MALFORMED: &str = "244 Malformed";
    [
        row(New, 100, (Zero, Zero), &[256..=256], MALFORMED, MALFORMED),
        row(New, 101, (Zero, Zero), &[550..=550], MALFORMED, "244 BadSignature"),
        row(New, 106, (Any, Zero), &[48..=48, 256..=256], MALFORMED, "244 BadSignature"),
        // Section 23 has the size of any sealed packet under 19, but 1 KiB is for every packet.
        row(Issued, 203, (Own, Zero), &[0..=MOST_BEFORE_SESSION], MALFORMED, "244 BadSequence"),
        row(
            Session,
            102,
            (Own, Any),
            &[0..=MAX_LETTER],
            "244 TooLarge of 102",
            "244 BadSignature of 102",
        ),
        row(Session, 105, (Own, Zero), &[32..=32, 48..=48], BAD_SIZE, "244 BadSequence of 105"),
        row(Session, 203, (Own, Zero), &[32..=2_048], BAD_SIZE, "244 BadSequence of 203"),
        row(Session, 222, (Own, Zero), &[32..=32], BAD_SIZE, "244 BadSequence of 222"),
    ]
};

/// Why the header alone is enough to refuse, for a client with the id `own`.
pub(super) fn refusal_by_header(state: State, own: u16, claim: Claim) -> Option<&'static str> {
    if !OPS.contains(&claim.op) {
        return Some("244 UnknownOp");
    }
    let Some(row) = find(state, claim.op) else { return Some("244 UnexpectedOp") };
    let fits = |id: u16, rule: Id| match rule {
        Id::Zero => id == 0,
        Id::Own => id == own,
        // 106 is from somebody, and a letter to nobody is refused later.
        Id::Any => id != 0 || claim.op == 102,
    };
    if !fits(claim.sender, row.from) || !fits(claim.recipient, row.to) {
        return Some("244 Malformed");
    }
    let fits = row.sizes.iter().any(|sizes| sizes.contains(&claim.size));
    (!fits).then_some(row.otherwise)
}

/// What a signature that does not hold is refused with, where nothing else is wrong.
pub(super) fn refusal_of_signature(state: State, op: u8) -> &'static str {
    find(state, op).unwrap().unsigned
}

/// Whether a refusal ends the connection ("Ends" in section 23; before a session all do but
/// code 20).
pub(super) fn ends(state: State, refusal: &str) -> bool {
    let code = refusal.strip_prefix("244 ").unwrap().split([' ', '?']).next().unwrap();
    match code {
        "SessionUnknown" => false,
        _ if state != State::Session => true,
        "Malformed" | "UnknownOp" | "UnexpectedOp" | "BadSignature" | "BadSequence" => true,
        "StaleTimestamp" | "UnknownRecipient" | "TooLarge" | "UnknownUser" => false,
        _ => panic!("{code} is not in this table"),
    }
}

fn find(state: State, op: u8) -> Option<&'static Row> {
    ROWS.iter().find(|row| (row.state, row.op) == (state, op))
}
