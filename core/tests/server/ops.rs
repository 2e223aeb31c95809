//! Every op in every state and from either side (PROTOCOL.md, "State diagrams"): what is taken, what
//! is refused with which code, and whether that is the end.

use waxwing_core::crypto::{SessionKey, SessionSeal};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::Config;
use waxwing_core::wire::{CloseReason, ErrorCode, KeyQuestion, Op, Status};

use waxwing_testkit::backend::{Backend, Paper};
use waxwing_testkit::packets::{self, NOBODY};
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::{SERVER_KEY, Sim};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Connected.
    New,
    /// Connected, and a 200 has come.
    NewWithCode,
    /// Connected, and a 150 has come.
    NewAfter150,
    /// Connected, and the short 106 was refused.
    NewAfterShort,
    /// The user of a 101 is being stored.
    Storing,
    /// A 201 has come.
    Issued201,
    /// A 206 has come.
    Issued206,
    Session,
    /// A 222 has gone, and what came before it is being stored.
    Closing,
}

impl State {
    const fn is_new(self) -> bool {
        matches!(self, New | NewWithCode | NewAfter150 | NewAfterShort)
    }
}

use State::{
    Closing, Issued201, Issued206, New, NewAfter150, NewAfterShort, NewWithCode, Session, Storing,
};

/// What a client can say, as well made as the state allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Code,
    Proof,
    Letter,
    Question,
    Reconnect,
    Confirmation,
    Held,
    Queries,
    Leave,
}

impl Request {
    const ALL: [Self; 9] = [
        Self::Code,
        Self::Proof,
        Self::Letter,
        Self::Question,
        Self::Reconnect,
        Self::Confirmation,
        Self::Held,
        Self::Queries,
        Self::Leave,
    ];

    const fn is_acknowledgment(self) -> bool {
        matches!(self, Self::Confirmation | Self::Held | Self::Queries)
    }
}

#[derive(Clone, Copy, Debug)]
enum Packet {
    Request(Request),
    /// An empty packet of the client's.
    Bare(u8),
    /// An empty packet of the server's, played back.
    Reflected(u8),
}

/// Somebody in a state, with the world around.
struct Scene {
    state: State,
    world: Sim<Paper>,
    ann: Person<Paper>,
    ben: UserId,
    code: Vec<u8>,
    letter: PacketId,
}

impl Scene {
    fn at(state: State) -> Self {
        let (mut world, [mut ann, mut ben]) = Sim::<Paper>::populated(Config::default());
        if matches!(state, NewWithCode | Storing | Issued201) {
            ann = Person::new(2);
        }
        let mut newcomer = Person::<Paper>::new(2);
        newcomer.conn = world.connect();
        let request = newcomer.request(&mut world);
        world.send(newcomer.conn, &request);
        newcomer.hear(&mut world);
        let code = newcomer.code(&world);
        let letter = ben.letter(&mut world, ann.id.unwrap_or(ben.id()), b"from somebody else");
        let mut scene =
            Self { state, world, ann, ben: ben.id(), code, letter: packets::id_of(&letter) };
        scene.reach();
        scene.world.bytes(scene.ann.conn);
        scene
    }

    fn reach(&mut self) {
        let Self { state, world, ann, ben, code, .. } = self;
        let state = *state;
        match state {
            New => ann.conn = world.connect(),
            NewWithCode | NewAfter150 => {
                ann.conn = world.connect();
                let request = ann.request(world);
                world.send(ann.conn, &request);
            }
            NewAfterShort => {
                ann.conn = world.connect();
                let short = ann.short_under(world, &SessionKey::from_bytes(&[9; 32]));
                world.send(ann.conn, &short);
                assert_eq!(ann.hear_refusals(world), [ErrorCode::SessionUnknown]);
            }
            Storing | Issued201 => {
                ann.conn = world.connect();
                let proof = ann.proof(world, code);
                world.disk.held = state == Storing;
                world.send(ann.conn, &proof);
                if state == Issued201 {
                    ann.hear_one(world);
                }
                ann.id = UserId::new(3);
            }
            Issued206 => ann.knock(world),
            Session => ann.come_to_nothing(world),
            Closing => {
                ann.come_to_nothing(world);
                world.disk.held = true;
                ann.send(world, *ben, b"before leaving");
                ann.leave(world);
            }
        }
    }

    fn packet(&mut self, packet: Packet) -> Vec<u8> {
        let Self { state, world, ann, ben, code, letter } = self;
        let state = *state;
        match packet {
            Packet::Request(request) => {
                // Without a session there is no key to seal under that the server would know.
                ann.seal.get_or_insert_with(|| SessionSeal::new(SessionKey::from_bytes(&[1; 32])));
                ann.id = ann.id.or(UserId::new(1));
                match request {
                    Request::Code | Request::Proof => {
                        let mut newcomer = Person { conn: ann.conn, ..Person::new(2) };
                        let bytes = match request {
                            Request::Code => newcomer.request(world),
                            _ => newcomer.proof(world, code),
                        };
                        if state.is_new() {
                            *ann = newcomer;
                        }
                        bytes
                    }
                    Request::Letter => ann.letter(world, *ben, b"a letter"),
                    Request::Question => ann.question(world, KeyQuestion::ById(ann.id())),
                    Request::Reconnect => {
                        let nonce = ann.nonce;
                        let long = ann.long(world);
                        if state == Storing {
                            // The 201 that is due answers the 101.
                            ann.nonce = nonce;
                        }
                        long
                    }
                    Request::Confirmation => ann.confirmation(world, 8),
                    Request::Held => ann.held(world, &[*letter]),
                    Request::Queries => ann.queries(world, &[(*ben, *letter)]),
                    Request::Leave => ann.sealed(world, Op::Close, &[1]),
                }
            }
            Packet::Bare(op_code) => {
                let is_nobody = matches!(op_code, 100 | 101);
                let sender = if is_nobody { NOBODY } else { UserId::wire(ann.id).max(1) };
                let recipient = if op_code == 102 { ben.get() } else { NOBODY };
                let bare = ann.packet_as(world, sender, recipient, op_code, &[]);
                ann.sent.push(packets::id_of(&bare));
                bare
            }
            Packet::Reflected(op_code) => {
                let recipient = UserId::wire(ann.id);
                let at = world.now.unix;
                let bytes = packets::unsigned(NOBODY, recipient, at, op_code, &[]);
                packets::sign(bytes, &Paper::key(SERVER_KEY), &mut world.rng)
            }
        }
    }
}

/// What the server says, and that it closes when it refuses.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Says(&'static str),
    Refuses(ErrorCode),
}

fn expected(state: State, packet: Packet) -> Outcome {
    use ErrorCode::{BadSequence, Malformed, UnexpectedOp, UnknownOp};
    let is_issued = matches!(state, Storing | Issued201 | Issued206);
    let (op_code, has_place) = match packet {
        Packet::Request(request) => return expected_of_request(state, request),
        Packet::Bare(op_code) | Packet::Reflected(op_code) => {
            let has_place = match op_code {
                100 | 101 | 106 => state.is_new(),
                102 | 105 | 222 => state == Session,
                203 => is_issued || state == Session,
                _ => false,
            };
            (op_code, has_place)
        }
    };
    let is_reflected = matches!(packet, Packet::Reflected(_));
    Outcome::Refuses(match op_code {
        _ if Op::from_code(op_code).is_none() => UnknownOp,
        _ if !has_place => UnexpectedOp,
        // Under another id than the client's.
        _ if is_reflected => Malformed,
        100 | 101 | 106 => Malformed,
        102 => return Outcome::Says("stored"),
        _ => BadSequence,
    })
}

/// The table of the document, row by row.
fn expected_of_request(state: State, request: Request) -> Outcome {
    match (state, request) {
        (state, Request::Code) if state.is_new() => Outcome::Says("200"),
        (state, Request::Proof) if state.is_new() => Outcome::Says("201"),
        // Another has the id that it claims.
        (NewWithCode, Request::Reconnect) => Outcome::Refuses(ErrorCode::BadSignature),
        (state, Request::Reconnect) if state.is_new() => Outcome::Says("206"),
        (Issued201 | Issued206, Request::Confirmation) => Outcome::Says("255"),
        (Storing, request) if request.is_acknowledgment() => {
            Outcome::Refuses(ErrorCode::BadSequence)
        }
        (Session, Request::Letter) => Outcome::Says("stored"),
        (Session, Request::Question) => Outcome::Says("204"),
        (Session, Request::Held) => Outcome::Says("nothing"),
        (Session, Request::Queries) => Outcome::Says("status"),
        (Session, Request::Leave) => Outcome::Says("222"),
        _ => Outcome::Refuses(ErrorCode::UnexpectedOp),
    }
}

fn outcome(said: &[Said], is_closed: bool) -> Outcome {
    let says = match said {
        [Said::Refused(no)] => {
            assert!(is_closed, "a refusal that is not the end: {no:?}");
            return Outcome::Refuses(no.code);
        }
        [Said::Closed(CloseReason::Leaving)] => {
            assert!(is_closed);
            return Outcome::Says("222");
        }
        [] => "nothing",
        [Said::CodeIssued { .. }] => "200",
        [Said::SessionOffered(Op::SessionIssued)] => "201",
        [Said::SessionOffered(Op::SessionRenewed)] => "206",
        [Said::BacklogEnd(0)] => "255",
        [Said::Fate(_, Status::Stored)] => "stored",
        [Said::Fate(..)] => "status",
        [Said::Key(_)] => "204",
        other => panic!("{other:?}"),
    };
    assert!(!is_closed, "{says}");
    Outcome::Says(says)
}

fn play(state: State, packet: Packet) {
    let mut scene = Scene::at(state);
    let bytes = scene.packet(packet);
    let Scene { world, ann, ben, .. } = &mut scene;
    world.send(ann.conn, &bytes);
    if matches!(state, Storing | Closing) {
        assert_eq!(ann.hear(world), [], "{state:?} {packet:?}");
        assert!(!ann.is_closed(world) && !world.is_read(ann.conn), "{state:?} {packet:?}");
        world.release();
    }
    if state == Closing {
        let [Said::Fate(..), Said::Closed(CloseReason::Leaving)] = ann.hear(world)[..] else {
            panic!("{packet:?}")
        };
        assert!(ann.is_closed(world));
        assert_eq!(world.disk.pending(*ben).len(), 1, "{packet:?} counted after the 222");
        return;
    }
    let mut said = ann.hear(world);
    if state == Storing {
        assert_eq!(said.remove(0), Said::SessionOffered(Op::SessionIssued));
    }
    let outcome = outcome(&said, ann.is_closed(world));
    assert_eq!(outcome, expected(state, packet), "{state:?} {packet:?}");
}

fn every_packet_in(state: State) {
    Request::ALL.into_iter().for_each(|request| play(state, Packet::Request(request)));
    for op_code in 0..=255 {
        play(state, Packet::Bare(op_code));
        play(state, Packet::Reflected(op_code));
    }
}

macro_rules! every_packet {
    ($($name:ident: $state:ident,)*) => {
        $(#[test]
        fn $name() {
            every_packet_in($state);
        })*
    };
}

every_packet! {
    on_a_new_connection_only_100_101_and_106_are_taken: New,
    after_a_200_they_still_are: NewWithCode,
    after_a_150_they_still_are: NewAfter150,
    after_a_short_106_was_refused_they_still_are: NewAfterShort,
    while_a_user_is_stored_everything_waits_and_then_only_the_confirmation_is_taken: Storing,
    after_a_201_only_the_confirmation_is_taken: Issued201,
    after_a_206_only_the_confirmation_is_taken: Issued206,
    in_a_session_only_letters_questions_acknowledgments_and_222_are_taken: Session,
    after_a_222_nothing_is_read: Closing,
}
