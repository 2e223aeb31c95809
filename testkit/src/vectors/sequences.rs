//! What comes one after the other: packets on a connection, statuses of a letter, answers about a
//! key, answers of a server about a letter (PROTOCOL.md, "Acknowledgments", "End of backlog", "Reconnect",
//! "Pinning").

use super::cast::{
    ANN, Actor, BEN, CAROL, DAVE, IV, LETTER_ID, NONCE, REPLY_KEY, SEED, SERVER, SESSION_KEY,
};
use super::in_session::{refusal, short_reconnect};
use super::json::{Json, hex, object};
use super::letters::content;
use super::packet::{envelope, sealed, signed, token};

/// `sequences.json`.
pub(crate) fn cases() -> Vec<Json> {
    [packets(), statuses(), fates(), pins()].concat()
}

fn case(name: &str, kind: &str, steps: Vec<Json>) -> Json {
    object().with("name", name).with("kind", kind).with("steps", steps)
}

/// A packet of the server's to Ann.
fn to_ann(op: u8, payload: &[u8]) -> Vec<u8> {
    signed(0, ANN.id, op, payload, &SERVER)
}

/// A shared packet with one token, Ann's.
fn shared(op: u8, block: [u8; 16]) -> Vec<u8> {
    signed(0, 0, op, &[IV, token(&SESSION_KEY, block)].concat(), &SERVER)
}

fn packets() -> Vec<Json> {
    let case = |name, state, steps: &[(&[u8], &str)]| {
        let step = |(packet, comes): &(&[u8], &str)| {
            object().with("packet", hex(packet)).with("comes", *comes)
        };
        case(name, "packets", steps.iter().map(step).collect()).with("state", state)
    };
    let grant = [&SESSION_KEY[..], &NONCE].concat();
    let renewed = to_ann(206, &ANN.oaep(b"waxwing/1:206", SEED, &grant));
    let issued = to_ann(201, &ANN.oaep(b"waxwing/1:201", SEED, &grant));
    let code =
        signed(0, 0, 200, &super::packet::cbc(&REPLY_KEY, &IV, &[44, 1, 3, 30, 0, 0]), &SERVER);

    let backlog_ends = to_ann(255, &sealed(0, &[0; 4]));
    let mut block = NONCE;
    block[12..].fill(0);
    let backlog_ends_shared = shared(255, block);
    let mut stored_token = LETTER_ID;
    stored_token[15] = 1;
    let stored_shared = shared(203, stored_token);
    let status =
        |seq, status: u8| to_ann(203, &sealed(seq, &[&[1, 0][..], &LETTER_ID, &[status]].concat()));
    let closing = to_ann(222, &sealed(0, &[1]));
    let clear = |code, packet| signed(0, 0, 244, &refusal(code, 0, 0, packet, "?").0, &SERVER);
    let unknown_session = clear(20, Some(short_reconnect()));
    let later_code = clear(999, None);
    let letter = signed(BEN.id, ANN.id, 102, &envelope(&BEN, &ANN, &content(1, b"Hello")), &BEN);
    let empty = signed(BEN.id, ANN.id, 102, b"", &BEN);
    let largest = signed(BEN.id, ANN.id, 102, &[0x5a; 65_535], &BEN);

    vec![
        case(
            "a session from the first packet to the last",
            "reconnecting",
            &[
                (&renewed, "SessionKey"),
                (&letter, "Letter"),
                (&backlog_ends, "BacklogEnd"),
                (&status(1, 1), "Status"),
                (&to_ann(222, &sealed(2, &[2])), "Closed"),
            ],
        ),
        case(
            "a code, and nothing asked for it again",
            "asked",
            &[(&code, "Code"), (&code, "Misbehaved")],
        ),
        case(
            "a new user's session key",
            "proving",
            &[(&issued, "SessionKey"), (&backlog_ends, "BacklogEnd")],
        ),
        case(
            "a second session key",
            "reconnecting",
            &[(&renewed, "SessionKey"), (&renewed, "BadSeal")],
        ),
        case(
            "255 twice, the second one played back",
            "session",
            &[(&backlog_ends_shared, "BacklogEnd"), (&backlog_ends_shared, "Ignored")],
        ),
        case(
            "255 sealed, and an old shared one of the same session",
            "session",
            &[(&backlog_ends, "BacklogEnd"), (&backlog_ends_shared, "Ignored")],
        ),
        case(
            "a sealed packet played back",
            "session",
            &[(&status(0, 1), "Status"), (&status(0, 1), "BadSeal")],
        ),
        case(
            "a sealed packet left out",
            "session",
            &[(&status(0, 1), "Status"), (&status(2, 2), "BadSeal")],
        ),
        case(
            "a shared packet does not count as sealed, and may come twice",
            "watching",
            &[(&stored_shared, "Status"), (&stored_shared, "Status"), (&status(0, 2), "Status")],
        ),
        case(
            "no session under the short form: the long one follows",
            "reconnecting_short",
            &[
                (&unknown_session, "LongForm"),
                (&renewed, "SessionKey"),
                (&backlog_ends, "BacklogEnd"),
            ],
        ),
        case(
            "the short form refused twice",
            "reconnecting_short",
            &[
                (&unknown_session, "LongForm"),
                (&unknown_session, "Ignored"),
                (&clear(20, None), "Refused"),
            ],
        ),
        case(
            "a code of a later version before a session",
            "reconnecting",
            &[(&later_code, "Refused")],
        ),
        case("a refused confirmation", "session", &[(&clear(19, None), "Refused")]),
        case(
            "a clear refusal of a session that stands",
            "online",
            &[
                (&clear(19, None), "Ignored"),
                (&later_code, "Ignored"),
                (&clear(8, Some(LETTER_ID)), "Ignored"),
                (&signed(0, 0, 244, &[4, 0, 0, 0, 0, 2], &SERVER), "Ignored"),
                (&signed(0, 0, 244, &refusal(4, 0, 0, None, "").0, &BEN), "BadBytes"),
            ],
        ),
        case("ops without a place in a session that stands", "online", &[(&renewed, "BadSeal")]),
        case(
            "leaving a session that stands",
            "leaving",
            &[
                (&clear(4, None), "Ignored"),
                (&to_ann(203, &sealed(1, &[&[1, 0][..], &LETTER_ID, &[1]].concat())), "Status"),
                (&to_ann(222, &sealed(2, &[1])), "Closed"),
            ],
        ),
        case(
            "an answer to a 222 with another reason",
            "leaving",
            &[(&to_ann(222, &sealed(1, &[4])), "Closed")],
        ),
        case(
            "leaving before the server has accepted the session",
            "leaving_early",
            &[(&clear(19, Some(LETTER_ID)), "Ignored"), (&clear(19, None), "Refused")],
        ),
        case(
            "leaving before the server has accepted it, which it does",
            "leaving_early",
            &[
                (&backlog_ends, "BacklogEnd"),
                (&clear(19, None), "Ignored"),
                (&to_ann(222, &sealed(1, &[1])), "Closed"),
            ],
        ),
        case("a 222 at once", "session", &[(&closing, "Closed")]),
        case(
            "a letter of no bytes, and one of as many as a header can name",
            "session",
            &[(&empty, "Letter"), (&largest, "Letter"), (&letter, "Letter")],
        ),
    ]
}

/// What is known of a letter after each of these.
fn statuses() -> Vec<Json> {
    use Step::{Refused, Status};
    let case = |name, steps: &[(Step, u8)]| {
        let step = |(step, known): &(Step, u8)| match step {
            Status(status) => object().with("status", *status).with("known", *known),
            Refused(code) => object().with("refused", *code).with("known", *known),
        };
        case(name, "statuses", steps.iter().map(step).collect())
    };
    vec![
        case("stored, then delivered", &[(Status(1), 1), (Status(2), 2)]),
        case("delivered at once", &[(Status(2), 2)]),
        case(
            "nothing takes delivered back",
            &[(Status(2), 2), (Status(1), 2), (Status(3), 2), (Status(0), 2), (Refused(15), 2)],
        ),
        case("expired, and delivered after all", &[(Status(1), 1), (Status(3), 3), (Status(2), 2)]),
        case("expired is not stored any more", &[(Status(3), 3), (Status(1), 3), (Status(0), 3)]),
        case("unknown is less than stored", &[(Status(0), 0), (Status(1), 1), (Status(0), 1)]),
        case("a refused copy of a stored letter", &[(Status(1), 1), (Refused(15), 1)]),
        case("a refused letter that was delivered", &[(Refused(15), 0), (Status(2), 2)]),
    ]
}

#[derive(Clone, Copy)]
enum Step {
    /// The server names this status.
    Status(u8),
    /// It refuses the letter with this code.
    Refused(u16),
}

const DAY: u32 = 86_400;

/// What a server answers when Ann asks what became of her letter to Ben.
fn fates() -> Vec<Json> {
    use Moment::{Asked, Happens};
    let case = |name, steps: &[(u32, Moment)]| {
        let step = |(at, moment): &(u32, Moment)| match moment {
            Happens(what) => object().with("at", *at).with("happens", *what),
            Asked(status) => object().with("at", *at).with("status", *status),
        };
        case(name, "fates", steps.iter().map(step).collect())
    };
    let [stored, acknowledged] = ["stored", "acknowledged"].map(Happens);
    let [copied, restored] = ["copied", "restored"].map(Happens);
    vec![
        case("a letter that waits", &[(0, stored), (1, Asked(1))]),
        case("a letter that was delivered", &[(0, stored), (1, acknowledged), (2, Asked(2))]),
        case("a letter that never was", &[(0, Asked(2))]),
        case(
            "a letter that expired, as long as that is remembered",
            &[(0, stored), (31 * DAY, Asked(3)), (62 * DAY, Asked(2))],
        ),
        case(
            "after an older state has come back, a letter of which it knows nothing",
            &[
                (0, copied),
                (1, stored),
                (2, acknowledged),
                (3, Asked(2)),
                (10, restored),
                (11, Asked(0)),
                (9 + 30 * DAY, Asked(0)),
                (600 + 30 * DAY, Asked(2)),
            ],
        ),
        case("the same of a letter that never was", &[(0, copied), (1, restored), (2, Asked(0))]),
        case(
            "a letter that was delivered, and waits again in the older state",
            &[
                (0, stored),
                (1, copied),
                (2, acknowledged),
                (3, restored),
                (4, Asked(1)),
                (5, acknowledged),
                (6, Asked(0)),
                (600 + 30 * DAY, Asked(2)),
            ],
        ),
        case(
            "a letter of which the older state knows that it expired",
            &[(0, stored), (31 * DAY, copied), (31 * DAY + 1, restored), (31 * DAY + 2, Asked(3))],
        ),
        case(
            "an older state comes back twice: the later moment counts",
            &[
                (0, copied),
                (1, restored),
                (20 * DAY, restored),
                (40 * DAY, Asked(0)),
                (51 * DAY, Asked(2)),
            ],
        ),
    ]
}

#[derive(Clone, Copy)]
enum Moment {
    /// Something happens at the server.
    Happens(&'static str),
    /// Ann asks, and it answers with this status.
    Asked(u8),
}

/// Answers about Ben's phone, and what is pinned after each. Ann has nobody pinned at first.
fn pins() -> Vec<Json> {
    let case = |name, steps: Vec<Json>| case(name, "pins", steps);
    let pinned = |step: Json, pinned: &Actor, waiting: Option<&Actor>| {
        step.with("pinned", pinned.name).with_some("waiting", waiting.map(|key| key.name))
    };
    let answer = |comes: &str, id: u16, key: &Actor| {
        object()
            .with("user_id", id)
            .with("phone", BEN.phone)
            .with("key", key.name)
            .with("comes", comes)
    };
    let accept = |key: &Actor, comes: &str| object().with("accept", key.name).with("comes", comes);
    vec![
        case(
            "the same key again, and under a new id",
            vec![
                pinned(answer("Pinned", 300, &BEN), &BEN, None),
                pinned(answer("Unchanged", 300, &BEN), &BEN, None),
                pinned(answer("NewId", 301, &BEN), &BEN, None),
            ],
        ),
        case(
            "another key waits until it is accepted",
            vec![
                pinned(answer("Pinned", 300, &BEN), &BEN, None),
                pinned(answer("Changed", 301, &CAROL), &BEN, Some(&CAROL)),
                pinned(accept(&CAROL, "Accepted"), &CAROL, None),
            ],
        ),
        case(
            "a third key takes the place of the second, which can be accepted no longer",
            vec![
                pinned(answer("Pinned", 300, &BEN), &BEN, None),
                pinned(answer("Changed", 300, &CAROL), &BEN, Some(&CAROL)),
                pinned(answer("Changed", 300, &DAVE), &BEN, Some(&DAVE)),
                pinned(accept(&CAROL, "NotWaiting"), &BEN, Some(&DAVE)),
                pinned(accept(&DAVE, "Accepted"), &DAVE, None),
            ],
        ),
        case(
            "the pinned key comes back",
            vec![
                pinned(answer("Pinned", 300, &BEN), &BEN, None),
                pinned(answer("Changed", 300, &CAROL), &BEN, Some(&CAROL)),
                pinned(answer("Reverted", 300, &BEN), &BEN, None),
                pinned(accept(&CAROL, "NotWaiting"), &BEN, None),
            ],
        ),
        case(
            "the server's own key is nobody's",
            vec![
                pinned(answer("Pinned", 300, &BEN), &BEN, None),
                pinned(answer("Refused", 300, &SERVER), &BEN, None),
                pinned(answer("Refused", 300, &ANN), &BEN, None),
            ],
        ),
    ]
}
