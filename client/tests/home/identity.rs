use waxwing::home::{
    HomeError, Identity, NewIdentity, PacketName, Registration, ServerKeys, Standing, State,
    Writing,
};
use waxwing::servers::Servers;
use waxwing_core::crypto::{ReplyKey, SessionKey};
use waxwing_core::testing::keys::pkcs8_der;
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{KeyAnswer, Status, Successor};
use zeroize::ZeroizeOnDrop;

use crate::judging::judge;
use crate::{TestHome, at, packet_id, phone, register, spki, store_identity, uid, user};

#[test]
fn an_identity_survives_reopening() {
    let test = TestHome::new();
    assert!(test.open().identity().unwrap().is_none());
    store_identity(&test.open());
    let found = test.open().identity().unwrap().unwrap();
    assert_eq!(found.phone, phone(0));
    assert_eq!(found.servers, Servers::default());
    assert_eq!((&found.server_key, &found.public_key), (&spki(1), &spki(0)));
    assert_eq!(found.private_key.as_slice(), pkcs8_der(0));
    assert_eq!(found.reply_key, ReplyKey::from_bytes(&[3; 32]));
    assert_eq!(found.registration, Registration::Begun);
    assert_eq!(found.session_key, None);
}

#[test]
fn a_registration_moves_on_and_never_back_from_done() {
    let test = TestHome::new();
    let home = test.open();
    store_identity(&home);
    for stage in [
        Registration::CodeIssued { expires_at: at(300) },
        Registration::Proving,
        Registration::Begun,
        Registration::Proving,
        Registration::Done(user(7)),
        Registration::Done(user(7)),
    ] {
        home.set_registration(stage).unwrap();
        assert_eq!(test.open().identity().unwrap().unwrap().registration, stage);
    }
    for stage in [Registration::Begun, Registration::Done(user(8))] {
        assert!(home.set_registration(stage).is_err());
    }
    assert!(home.renew_attempt(&ReplyKey::from_bytes(&[4; 32])).is_err());
    assert_eq!(home.identity().unwrap().unwrap().user_id(), Some(user(7)));
}

#[test]
fn a_spent_code_is_followed_by_another_attempt_with_the_same_key() {
    let test = TestHome::new();
    let home = test.open();
    store_identity(&home);
    home.set_registration(Registration::CodeIssued { expires_at: at(300) }).unwrap();
    home.renew_attempt(&ReplyKey::from_bytes(&[4; 32])).unwrap();
    let found = home.identity().unwrap().unwrap();
    assert_eq!(found.reply_key, ReplyKey::from_bytes(&[4; 32]));
    assert_eq!(found.registration, Registration::Begun);
    assert_eq!(found.private_key.as_slice(), pkcs8_der(0));
}

#[test]
fn a_key_with_which_an_account_may_exist_is_never_replaced() {
    let test = TestHome::new();
    let home = test.open();
    let (server_key, public_key) = (spki(2), spki(3));
    let reply_key = ReplyKey::from_bytes(&[9; 32]);
    let elsewhere = "elsewhere:1".parse().unwrap();
    let other = |phone| NewIdentity {
        phone,
        servers: &elsewhere,
        server_key: &server_key,
        private_key: pkcs8_der(3),
        public_key: &public_key,
        reply_key: &reply_key,
    };
    let standing = |phone_at, key_at| home.standing(&phone(phone_at), &spki(key_at)).unwrap();
    assert!(matches!(standing(0, 1), Standing::Vacant));
    store_identity(&home);
    assert!(matches!(standing(0, 1), Standing::Resumable(_)));
    // A mistyped phone costs nothing as long as no code was sent back.
    assert!(matches!(standing(5, 1), Standing::Vacant));
    home.store_identity(&other(phone(5))).unwrap();
    store_identity(&home);

    home.set_registration(Registration::Proving).unwrap();
    assert!(matches!(standing(0, 1), Standing::Resumable(_)));
    assert!(matches!(standing(5, 1), Standing::Occupied(_)));
    assert!(matches!(standing(0, 2), Standing::OtherServerKey(_)));
    assert!(matches!(home.store_identity(&other(phone(5))), Err(HomeError::Occupied { .. })));

    home.set_registration(Registration::Done(user(7))).unwrap();
    assert!(matches!(standing(0, 1), Standing::Registered(_)));
    assert!(matches!(standing(0, 2), Standing::OtherServerKey(_)));
    assert!(home.store_identity(&other(phone(0))).is_err());
    assert_eq!(home.identity().unwrap().unwrap().private_key.as_slice(), pkcs8_der(0));
}

#[test]
fn the_address_at_which_the_server_was_comes_first_unless_somebody_has_named_others() {
    let test = TestHome::new();
    let home = test.open();
    register(&home);
    let servers = |text: &str| text.parse::<Servers>().unwrap();
    let stored = || test.open().identity().unwrap().unwrap().servers;
    home.trust_server(&servers("a:1,b:1"), &spki(1)).unwrap();
    home.found_server(&servers("a:1,b:1"), &servers("b:1,a:1")).unwrap();
    assert_eq!(stored(), servers("b:1,a:1"));
    home.trust_server(&servers("c:1"), &spki(1)).unwrap();
    home.found_server(&servers("b:1,a:1"), &servers("a:1,b:1")).unwrap();
    assert_eq!(stored(), servers("c:1"));
}

#[test]
fn a_session_key_is_kept_and_forgotten() {
    let test = TestHome::new();
    let home = test.open();
    let key = SessionKey::from_bytes(&[7; 32]);
    assert!(matches!(home.set_session_key(Some(&key)), Err(HomeError::NoSuchRow(_))));
    register(&home);
    home.set_session_key(Some(&key)).unwrap();
    assert_eq!(test.open().identity().unwrap().unwrap().session_key, Some(key));
    home.set_session_key(None).unwrap();
    assert_eq!(test.open().identity().unwrap().unwrap().session_key, None);
}

/// What the server announces: that it has another key from now on.
fn successor(now: UnixTime) -> Successor {
    Successor { effective: Timestamp::from_unix(now), spki: spki(3) }
}

#[test]
fn a_server_can_move_and_keeps_its_key() {
    let test = TestHome::new();
    let home = test.open();
    register(&home);
    let session = SessionKey::from_bytes(&[7; 32]);
    home.set_session_key(Some(&session)).unwrap();
    let now = UnixTime::from_seconds(1_795_350_896);
    home.note_successor(Some(&successor(now)), now).unwrap();
    home.trust_server(&"example.org:9295".parse().unwrap(), &spki(1)).unwrap();
    let found = home.identity().unwrap().unwrap();
    let example = "example.org:9295".parse().unwrap();
    assert_eq!((found.servers, found.server_key), (example, spki(1)));
    assert_eq!(found.session_key, Some(session));
    let keys = home.server_keys().unwrap().unwrap();
    assert_eq!(keys, ServerKeys { pinned: spki(1), successor: Some((spki(3), now)) });
}

#[test]
fn what_another_server_key_has_confirmed_is_forgotten_with_it() {
    let test = TestHome::new();
    let home = test.open();
    register(&home);
    home.set_session_key(Some(&SessionKey::from_bytes(&[7; 32]))).unwrap();
    home.begin_renewal(&ReplyKey::from_bytes(&[4; 32])).unwrap();
    let now = UnixTime::from_seconds(1_795_350_896);
    home.note_successor(Some(&successor(now)), now).unwrap();
    home.trust_server(&Servers::default(), &spki(2)).unwrap();
    // Whoever has stolen the key before can have announced one of his own.
    let keys = home.server_keys().unwrap().unwrap();
    assert_eq!(keys, ServerKeys { pinned: spki(2), successor: None });
    assert!(home.is_successor_due(now).unwrap());
    let found = home.identity().unwrap().unwrap();
    assert_eq!((&found.server_key, found.user_id()), (&spki(2), Some(user(100))));
    assert_eq!((found.session_key, found.is_renewing), (None, false));
    assert_eq!(found.private_key.as_slice(), pkcs8_der(0));
}

#[test]
fn an_account_that_the_server_has_lost_is_renewed_under_the_same_key() {
    let test = TestHome::new();
    let home = test.open();
    register(&home);
    assert!(home.renew(user(7)).is_err());
    home.begin_renewal(&ReplyKey::from_bytes(&[4; 32])).unwrap();
    // An attempt that has begun is gone on with: its code belongs to its reply key.
    home.begin_renewal(&ReplyKey::from_bytes(&[5; 32])).unwrap();
    let begun = test.open().identity().unwrap().unwrap();
    assert_eq!((begun.is_renewing, begun.user_id()), (true, Some(user(100))));
    assert_eq!(begun.reply_key, ReplyKey::from_bytes(&[4; 32]));
    home.renew_attempt(&ReplyKey::from_bytes(&[6; 32])).unwrap();

    home.renew(user(7)).unwrap();
    let found = test.open().identity().unwrap().unwrap();
    assert_eq!((found.is_renewing, found.user_id()), (false, Some(user(7))));
    assert_eq!(found.private_key.as_slice(), pkcs8_der(0));
    assert!(home.renew_attempt(&ReplyKey::from_bytes(&[6; 32])).is_err());
}

#[test]
fn with_a_new_account_ids_are_asked_for_and_what_may_be_lost_is_sent_again() {
    let test = TestHome::new();
    let home = test.open();
    register(&home);
    let answer = KeyAnswer { user: user(7), phone: phone(2), spki: spki(2) };
    let _ = judge(&home, &answer, at(0));
    assert!(home.contacts().mark_verified(&phone(2), &spki(2)).unwrap());
    let letter = |byte: u8| {
        let writing = Writing::text("hi").unwrap();
        let id = home.outbox().queue(&uid(byte), &phone(2), &writing, at(0)).unwrap();
        home.outbox().begin_sending(id, &packet_id(byte), user(7), b"x", at(0)).unwrap();
        id
    };
    let told = |byte, status| {
        let told = [(PacketName::Full(packet_id(byte)), status)];
        let _ = home.outbox().apply(&told, at(1)).unwrap();
    };
    let (sent, stored, delivered, postponed) = (letter(1), letter(2), letter(3), letter(4));
    told(2, Status::Stored);
    told(3, Status::Delivered);
    home.outbox().postpone(postponed, at(9_000), Some(12), "full").unwrap();

    home.begin_renewal(&ReplyKey::from_bytes(&[4; 32])).unwrap();
    home.renew(user(9)).unwrap();
    let contact = home.contacts().by_phone(&phone(2)).unwrap().unwrap();
    assert_eq!((contact.user_id, &contact.spki, contact.verified), (None, &spki(2), true));
    assert!(contact.known().is_question_due(at(1)));
    let queued = home.outbox().queued().unwrap();
    let waiting: Vec<_> = queued.iter().map(|letter| (letter.id, letter.status.state)).collect();
    assert_eq!(waiting, [sent, stored, postponed].map(|id| (id, State::Waiting)));
    assert!(queued.iter().all(|letter| letter.status.not_before == UnixTime::from_seconds(0)));
    for letter in queued {
        // The old packet has the old id in it.
        assert!(home.outbox().open_letter(letter.id).unwrap().unwrap().packet.is_none());
    }
    let state = |letter| home.outbox().status_of(letter).unwrap().unwrap().state;
    assert_eq!(state(delivered), State::Delivered);
    // A word about an old packet still counts, and the next packet is the one to ask about.
    home.outbox().begin_sending(stored, &packet_id(5), user(8), b"x", at(2)).unwrap();
    told(5, Status::Stored);
    assert_eq!(home.outbox().stored(None, 9).unwrap()[0].query.letter, packet_id(5));
    told(1, Status::Delivered);
    assert_eq!(state(sent), State::Delivered);
}

#[test]
fn debug_output_has_no_secrets() {
    let test = TestHome::new();
    let home = test.open();
    register(&home);
    home.set_session_key(Some(&SessionKey::from_bytes(&[0x77; 32]))).unwrap();
    let shown = format!("{:?}", home.identity().unwrap().unwrap());
    assert_eq!(
        shown,
        format!(
            "Identity {{ phone: +49…00, servers: Servers([\"127.0.0.1:9295\"]), public_key: {:?}, \
             registration: Done(user 100), .. }}",
            spki(0)
        )
    );
}

/// The secrets of an identity are in types that are wiped: this compiles only then.
fn _secrets_are_wiped(identity: &Identity) {
    const fn wiped<T: ZeroizeOnDrop>(_: &T) {}
    wiped(&identity.private_key);
    wiped(&identity.reply_key);
    wiped(identity.session_key.as_ref().unwrap());
}
