//! Keys, codes and letters do not print themselves; keys and codes are wiped when dropped.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use waxwing_core::client::{Client, Event};
use waxwing_core::crypto::{
    Digest, KEY_LEN, MessageKey, PrivateKey, ReplyKey, RustCrypto, RustCryptoHasher, RustCryptoKey,
    SessionKey, SessionSeal,
};
use waxwing_core::envelope::{Content, OpenedLetter};
use waxwing_core::id::{Nonce, PacketId, Uid, UserId};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::server::storage::{PendingLetter, QueueId};
use waxwing_core::server::{Event as ServerEvent, Identity, OtpTicket, Output, Server};
use waxwing_core::testing::keys;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{
    KeyAnswer, KeyQuestion, OtpGrant, OtpProof, Reader, RegistrationRequest, SessionGrant, Writer,
};
use zeroize::ZeroizeOnDrop;

const fn wiped_on_drop<T: ZeroizeOnDrop>() {}

const _: () = {
    wiped_on_drop::<SessionKey>();
    wiped_on_drop::<ReplyKey>();
    wiped_on_drop::<MessageKey>();
    wiped_on_drop::<Otp>();
    wiped_on_drop::<RustCryptoKey>();
};

/// What travels with secrets keeps each in a type that is wiped: this compiles only then.
fn _fields_are_wiped(grant: OtpGrant, proof: OtpProof<'_>, session: SessionGrant) {
    const fn wiped<T: ZeroizeOnDrop>(_: &T) {}
    wiped(grant.otp.as_ref().unwrap());
    wiped(&proof.otp);
    wiped(&proof.reply_key);
    wiped(&session.session_key);
    wiped(SessionSeal::new(session.session_key).key());
}

/// Whether any three bytes in a row of `secret` stand in `printed`, as hex or as a list.
fn leaks(printed: &str, secret: &[u8]) -> bool {
    let printed = printed.to_lowercase();
    secret.windows(3).any(|bytes| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{}, {}, {}", bytes[0], bytes[1], bytes[2]);
        printed.contains(&hex) || printed.contains(&list)
    })
}

#[test]
fn the_search_for_leaks_finds_them() {
    assert!(leaks("Key([1, 2, 3, 4])", &[9, 2, 3, 4]));
    assert!(leaks("Key(0102030A)", &[2, 3, 10]));
    assert!(!leaks("Key(…)", &[1, 2, 3]));
}

#[test]
fn symmetric_keys_print_their_name_only() {
    let bytes: [u8; KEY_LEN] = core::array::from_fn(|at| 0xa0 + at as u8);
    for printed in [
        format!("{:?} {0:#?}", SessionKey::from_bytes(&bytes)),
        format!("{:?} {0:#?}", ReplyKey::from_bytes(&bytes)),
        format!("{:?} {0:#?}", MessageKey::from_bytes(&bytes)),
        format!("{:?}", SessionKey::generate(&mut ChaCha20Rng::from_seed([1; 32]))),
    ] {
        assert!(printed.contains("Key(…)"), "{printed}");
        assert!(!printed.chars().any(|c| c.is_ascii_digit()), "{printed}");
    }
}

const CODE: &[u8; 6] = b"907153";
const NUMBER: &[u8] = b"+4915107346289";
const TEXT: &str = "sing no word of this";

#[track_caller]
fn assert_tells_nothing(printed: &str) {
    for secret in [&CODE[..], &NUMBER[3..NUMBER.len() - 2], TEXT.as_bytes(), &KEY] {
        assert!(!leaks(printed, secret), "{printed}");
        assert!(!printed.contains(&*String::from_utf8_lossy(secret)), "{printed}");
    }
}

const KEY: [u8; KEY_LEN] = {
    let mut key = [0xd3; KEY_LEN];
    (key[0], key[31]) = (0xe5, 0xf7);
    key
};

#[test]
fn what_carries_a_secret_prints_everything_but_that() {
    let (reply_key, session_key) = (ReplyKey::from_bytes(&KEY), SessionKey::from_bytes(&KEY));
    let (otp, phone) = (Otp::parse(CODE).unwrap(), Phone::parse(NUMBER).unwrap());
    let nonce = Nonce([0; 16]);
    let grant = OtpGrant { ttl_s: 1, attempts: 1, resend_s: 1, otp: Some(otp.clone()) };

    let mut block = [0; OtpProof::MAX_LEN];
    let mut writer = Writer::new(&mut block);
    OtpProof::emit(&mut writer, &reply_key, &otp, &nonce, &Digest([0; 32]), &phone).unwrap();
    assert_tells_nothing(&format!("{writer:?} {writer:#?}"));
    let written = writer.into_written();
    assert!(leaks(&format!("{written:?}"), CODE), "it was there to be printed");
    let reader = Reader::new(written);
    assert_tells_nothing(&format!("{reader:?} {reader:#?}"));
    let proof = OtpProof::parse(written).unwrap();
    assert_tells_nothing(&format!("{proof:?} {proof:#?}"));
    let request = RegistrationRequest { reply_key, phone: NUMBER };
    assert_tells_nothing(&format!("{request:?} {request:#?}"));
    let session = SessionGrant { session_key: session_key.clone(), nonce };
    let seal = SessionSeal::new(session_key);
    assert_tells_nothing(&format!("{session:?} {session:#?} {seal:?} {seal:#?}"));
    assert_tells_nothing(&format!("{grant:?} {grant:#?} {:?}", Event::OtpIssued(grant.clone())));

    let spki = RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(0)).unwrap().spki().clone();
    let answer = KeyAnswer { user: UserId::new(1).unwrap(), phone, spki };
    let question = KeyQuestion::ByPhone(phone);
    assert_tells_nothing(&format!("{phone:?} {answer:?} {question:?}"));
    let delivery = Output::DeliverOtp { ticket: OtpTicket(1), phone, otp };
    assert_tells_nothing(&format!("{delivery:?} {:?}", ServerEvent::GuessingSuspected));

    for content in [Content::Text(TEXT), Content::Unknown { kind: 9, body: TEXT.as_bytes() }] {
        let letter = OpenedLetter { uid: Uid([0; 16]), content };
        assert_tells_nothing(&format!("{letter:?} {letter:#?}"));
    }
}

#[test]
fn a_letter_of_the_server_prints_whose_it_is_and_how_long_and_nothing_of_its_bytes() {
    let [sender, recipient] = [258, 772].map(|id| UserId::new(id).unwrap());
    let letter = PendingLetter {
        queue_id: QueueId(64),
        id: PacketId([0xab; 16]),
        sender,
        recipient,
        accepted_at: UnixTime::from_seconds(0),
        packet: TEXT.as_bytes().into(),
    };
    let printed = format!("{letter:?}");
    assert_tells_nothing(&printed);
    for shown in ["64", "abababab", "258", "772", "20 bytes"] {
        assert!(printed.contains(shown), "{printed}");
    }
}

#[test]
fn a_private_key_prints_its_public_half_only() {
    let der = keys::pkcs8_der(0);
    let key = RustCryptoKey::from_pkcs8_der(der).unwrap();
    for printed in [format!("{key:?}"), format!("{key:#?}")] {
        assert!(printed.starts_with("RustCryptoKey"));
        assert!(printed.contains(&format!("{:?}", key.spki())));
        // Behind the modulus and the exponent everything in the file is secret.
        assert!(!leaks(&printed, &der[38 + 256 + 5..]), "{printed}");
    }
}

#[test]
fn what_has_taken_in_keys_has_nothing_to_print() {
    // That they have no Debug at all is the point.
    trait Fallback {
        const PRINTS: bool = false;
    }
    impl<T> Fallback for Probe<T> {}
    struct Probe<T>(core::marker::PhantomData<T>);
    impl<T: core::fmt::Debug> Probe<T> {
        const PRINTS: bool = true;
    }
    const { assert!(!Probe::<RustCryptoHasher>::PRINTS) }
    const { assert!(!Probe::<Identity<RustCrypto>>::PRINTS) }
    const { assert!(!Probe::<Server<RustCrypto>>::PRINTS) }
    const { assert!(!Probe::<Client<'_, RustCrypto, Vec<u8>>>::PRINTS) }
    const { assert!(Probe::<u8>::PRINTS) }
}
