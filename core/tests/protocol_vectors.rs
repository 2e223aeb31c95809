//! Every packet family, byte for byte (PROTOCOL.md, "Test values"). The expected bytes were
//! computed from the text of PROTOCOL.md by another program, not by this code.

use std::sync::OnceLock;

use waxwing_core::client::{Buffers, Client, Env, Keys, Options};
use waxwing_core::crypto::{
    CryptoRng, Digest, PrivateKey, Provider, PublicKey, ReplyKey, RustCrypto, RustCryptoKey,
    RustCryptoPublicKey, SessionKey, SessionSeal, SharedTokens, Spki, Unverified,
};
use waxwing_core::envelope::{self, Content, Fingerprint, SafetyNumber};
use waxwing_core::id::{Nonce, PacketId, Uid, UserId};
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_REFUSAL_TEXT, MAX_SEALED, OVERHEAD};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::testing::keys;
use waxwing_core::time::{Instant, Now, Timestamp};
use waxwing_core::wire::{
    BacklogSize, BacklogToken, ClientReport, CloseReason, Draft, ErrorCode, Frame, Full, Header,
    KeyAnswer, KeyQuestion, Op, OtpGrant, OtpProof, Packet, Reader, Refusal, RegistrationRejected,
    RegistrationRequest, SessionGrant, Status, StatusQuery, StatusToken, Statuses, Writer, deframe,
};
use waxwing_testkit::told::Told;
use waxwing_testkit::vectors::{counting, hex, unhex};
use zeroize::Zeroizing;

const CRYPTO: RustCrypto = RustCrypto;
const TIME: &[u8; 19] = b"2026-03-14 09:26:53";
const IV: &str = "202122232425262728292a2b2c2d2e2f";
const ANN: &str = "+15550001";
const BEN: &str = "+445550002";
const LETTER: &str = "240fe138ac1e6c5054260fd4d83fc40c";

/// The value, which has to stand in PROTOCOL.md; blanks and line breaks do not matter.
#[track_caller]
fn documented(value: &str) -> &str {
    static SQUEEZED: OnceLock<String> = OnceLock::new();
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    let document = SQUEEZED.get_or_init(|| squeeze(include_str!("../../PROTOCOL.md")));
    assert!(document.contains(&squeeze(value)), "not in PROTOCOL.md: {value}");
    value
}

fn key(at: usize) -> RustCryptoKey {
    RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(at)).unwrap()
}

fn public(key: &RustCryptoKey) -> RustCryptoPublicKey {
    CRYPTO.public_key(key.spki()).unwrap()
}

fn phone(text: &str) -> Phone {
    Phone::parse(text.as_bytes()).unwrap()
}

fn user(id: u16) -> UserId {
    UserId::new(id).unwrap()
}

fn letter() -> PacketId {
    PacketId(unhex(LETTER).try_into().unwrap())
}

fn session_key() -> SessionKey {
    SessionKey::from_bytes(&counting(0x00))
}

fn reply_key() -> ReplyKey {
    ReplyKey::from_bytes(&counting(0x60))
}

fn nonce() -> Nonce {
    Nonce(counting(0x40))
}

type Emit<'a> = &'a dyn Fn(&mut Writer<'_>) -> Result<(), Full>;

/// The payloads of one side of a session, each with the same IV, which is cut off.
fn session(contents: &[Emit<'_>]) -> Vec<Vec<u8>> {
    let mut seal = SessionSeal::new(session_key());
    let sealed = contents.iter().map(|content| {
        let mut out = [0; MAX_SEALED];
        let len = seal.seal(&CRYPTO, &mut Told::new(&unhex(IV)), &mut out, content).unwrap();
        out[..len].strip_prefix(&unhex(IV)[..]).unwrap().to_vec()
    });
    sealed.collect()
}

#[test]
fn a_header_and_the_id_of_a_packet() {
    let mut packet = unhex("07002c01323032362d30332d31342030393a32363a3533663201");
    let header = Header {
        sender: Some(user(7)),
        recipient: Some(user(300)),
        timestamp: Timestamp::parse(TIME).unwrap(),
        op_code: 102,
        payload_size: 306,
    };
    assert_eq!(deframe(&packet), Ok(Frame::Started(header)));
    packet.resize(26 + 306 + 256, 0);
    assert_eq!(packet.len(), 588);
    assert_eq!(deframe(&packet), Ok(Frame::Complete(header)));
    let packet = Unverified::new(&CRYPTO, Packet::parse(&packet[..]).unwrap());
    assert_eq!(packet.id(), letter());
    documented(LETTER);
}

/// What the client machine writes, opened with the server's key: header, block, what is behind
/// the block.
fn request(
    told: &[u8],
    label: &[u8],
    ask: impl FnOnce(&mut Client<'_, RustCrypto, Vec<u8>>, &mut dyn CryptoRng),
) -> (Header, Vec<u8>, Vec<u8>) {
    let (own, server) = (key(1), key(0));
    let server_public = public(&server);
    let keys = Keys { provider: &CRYPTO, own: &own, server: &server_public };
    let buffer = || vec![0; MAX_CONTROL_PACKET];
    let buffers = Buffers { letters: buffer(), control: buffer(), transmit: buffer() };
    let mut client = Client::new(keys, buffers, Options::default()).unwrap();
    ask(&mut client, &mut Told::new(told));
    let packet = Packet::parse(client.transmit()).unwrap();
    if packet.header().op_code == 100 {
        assert_eq!(packet.signature(), &[0; 256]);
    } else {
        let _ = Unverified::new(&CRYPTO, packet).verify(&public(&own)).unwrap();
    }
    if label.is_empty() {
        return (*packet.header(), packet.payload().to_vec(), Vec::new());
    }
    let (sealed, rest) = packet.payload().split_first_chunk().unwrap();
    let mut block = [0; 190];
    let len = server.oaep_open(&mut Told::new(&[]), label, sealed, &mut block).unwrap();
    (*packet.header(), block[..len].to_vec(), rest.to_vec())
}

fn now() -> Now {
    Now { instant: Instant::from_millis(0), unix: Timestamp::parse(TIME).unwrap().to_unix() }
}

#[test]
fn what_a_client_sends_before_it_has_a_session() {
    let phone = phone(ANN);
    let (header, block, rest) = request(&[], b"waxwing/1:100", |client, rng| {
        client.request_otp(&mut Env { now: now(), rng }, &phone, &reply_key()).unwrap();
    });
    assert_eq!((header.sender, header.recipient, header.op_code), (None, None, 100));
    assert_eq!((header.payload_size, header.timestamp.as_str()), (256, "2026-03-14 09:26:53"));
    assert_eq!(
        hex(&block),
        documented(
            "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f092b3135353530303031"
        )
    );
    assert!(rest.is_empty());

    let otp = Otp::parse(b"123456").unwrap();
    let (header, block, rest) = request(&nonce().0, b"waxwing/1:101", |client, rng| {
        client.prove_otp(&mut Env { now: now(), rng }, &phone, &reply_key(), &otp).unwrap();
    });
    assert_eq!((header.sender, header.recipient, header.op_code), (None, None, 101));
    assert_eq!(header.payload_size, 550);
    let before = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f\
                  313233343536404142434445464748494a4b4c4d4e4f";
    let digest = "347421f7c5fe1d7c7f52a9a517ea1e54382ddb142d1693975be139c494e994b2";
    let phone = "092b3135353530303031";
    assert_eq!(hex(&block), [documented(before), digest, documented(phone)].concat());
    assert_eq!(rest, key(1).spki().as_bytes());

    let (header, block, rest) = request(&nonce().0, b"waxwing/1:106", |client, rng| {
        client.reconnect(&mut Env { now: now(), rng }, user(7), None).unwrap();
    });
    assert_eq!((header.sender, header.recipient, header.op_code), (Some(user(7)), None, 106));
    assert_eq!((header.payload_size, hex(&block)), (256, hex(nonce().0)));
    assert!(rest.is_empty());

    let told = [&nonce().0[..], &unhex(IV)].concat();
    let (header, payload, _) = request(&told, b"", |client, rng| {
        client.reconnect(&mut Env { now: now(), rng }, user(7), Some(&session_key())).unwrap();
    });
    assert_eq!((header.op_code, header.payload_size), (106, 48));
    let expected = "86830e87591a75e9145ec6a106a30b2f5d3ff6dd89074c7ee1efe8365a16b21f";
    assert_eq!(hex(&payload), [IV, documented(expected)].concat());
}

#[test]
fn what_a_server_answers_before_there_is_a_session() {
    let rejected = RegistrationRejected;
    let grant = OtpGrant { ttl_s: 300, attempts: 3, resend_s: 30, otp: None };
    let in_band = OtpGrant { otp: Some(Otp::parse(b"123456").unwrap()), ..grant.clone() };
    let answers: [(Emit<'_>, &str); 3] = [
        (&|w| rejected.emit(w), "13ddfcdcbcf82a6b17ae74a384584798"),
        (&|w| grant.emit(w), "9e5238c2f085452042bce4c51cddae1a"),
        (&|w| in_band.emit(w), "5a833ec556d94d22b7a65d25dca30b79"),
    ];
    for (content, expected) in answers {
        let mut out = [0; 32];
        let len = reply_key().seal(&CRYPTO, &mut Told::new(&unhex(IV)), &mut out, content).unwrap();
        assert_eq!(hex(&out[..len]), [IV, documented(expected)].concat());
    }

    // 201 and 206.
    let mut block = [0; SessionGrant::LEN];
    let grant = SessionGrant { session_key: session_key(), nonce: nonce() };
    grant.emit(&mut Writer::new(&mut block)).unwrap();
    let expected = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
                    404142434445464748494a4b4c4d4e4f";
    assert_eq!(hex(block), documented(expected));
    assert_eq!(Op::SessionIssued.oaep_label(), b"waxwing/1:201");
    assert_eq!(Op::SessionRenewed.oaep_label(), b"waxwing/1:206");
}

#[test]
fn what_a_client_seals() {
    let query = StatusQuery { recipient: user(300), letter: letter() };
    let sealed = session(&[
        &|w| ClientReport::emit_confirmation(w, 128),
        &|w| ClientReport::emit_held(w, &[letter()]),
        &|w| ClientReport::emit_held(w, &[]),
        &|w| ClientReport::emit_queries(w, &[query]),
        &|w| KeyQuestion::ById(user(300)).emit(w),
        &|w| KeyQuestion::ByPhone(phone(ANN)).emit(w),
        &|w| CloseReason::Leaving.emit(w),
    ]);
    let expected = [
        "a046aa820941d7e024fce74e863324d5",
        "6490c5ff92f33c898c7ca2920da506d7f2cb0197ecd434bc5e62444e85f8ff46",
        "196acf573bd39afeeade718a6e9eb793",
        "ec92b6b634390c6f8aecdc270086f58b3cdb71586df3164903ca3043451b80d6",
        "5580b28e159af8f3d3a694d8e0084a26",
        "7776163b1ca12a010fe8befa02d92e19",
        "856d353db57fc030e32462d37e67e90e",
    ];
    for (sealed, expected) in sealed.iter().zip(expected) {
        assert_eq!(hex(sealed), documented(expected));
    }
}

/// Too many key questions.
fn rate_limited<'a>() -> Refusal<'a> {
    let packet = Some(letter());
    Refusal { code: 11, op: 105, retry_after_s: 60, packet, text: ErrorCode::RateLimited.name() }
}

#[test]
fn what_a_server_seals() {
    let statuses = [(letter(), Status::Delivered), (PacketId(counting(0xb0)), Status::Stored)];
    let spki = Spki::from_modulus(&[0xc3; 256]).unwrap();
    let answer = KeyAnswer { user: user(300), phone: phone(BEN), spki };
    let mut sealed = session(&[
        &|w| Statuses::emit(w, &statuses),
        &|w| answer.emit(w),
        &|w| BacklogSize(3).emit(w),
        &|w| CloseReason::TakenOver.emit(w),
        &|w| rate_limited().emit(w),
    ]);
    assert_eq!(sealed[1].len(), 336 - 16);
    // The answer is long; its digest stands for it.
    sealed[1] = CRYPTO.sha256(&[&unhex(IV), &sealed[1]]).0.to_vec();
    let expected = [
        "90b43a752772118a4fd578e43729605237e41bde1583b70758ca1ca1afa92825\
         7399b338541a15c189cdbeeb0f4ee97a",
        "31236d1a6bf527c3376b3af0b54812db5e438b583193129ffe1b46b1ab1fdb69",
        "f8f236b702f9e54e5ba10a04bb12eb8b",
        "4947ec0d62195df0ce8213c6b0822b7c",
        "9540a3143a7219899fe43328bb1189fd8a17ee689642eb40ff6b2f0430d41d50\
         e0d4793f812fefd25595b62a09ce0d77",
    ];
    for (sealed, expected) in sealed.iter().zip(expected) {
        assert_eq!(hex(sealed), documented(expected));
    }
}

#[test]
fn bodies_of_refusals() {
    let shared = Refusal { code: 4, op: 0, retry_after_s: 0, packet: None, text: "BadSignature" };
    for (refusal, expected) in [
        (rate_limited(), "0b00693c0001240fe138ac1e6c5054260fd4d83fc40c526174654c696d69746564"),
        (shared, "0400000000004261645369676e6174757265"),
    ] {
        let mut out = [0; Refusal::MAX_LEN];
        let mut writer = Writer::new(&mut out);
        refusal.emit(&mut writer).unwrap();
        assert_eq!(hex(writer.into_written()), documented(expected));
        assert_eq!(Refusal::parse(&unhex(expected)), Ok(refusal));
    }
}

#[test]
fn tokens_of_shared_packets() {
    let status = StatusToken { letter: letter().prefix(), status: Status::Delivered }.to_block();
    let backlog = BacklogToken::block(&nonce(), BacklogSize(3));
    assert_eq!(hex(status), documented("240fe138ac1e6c5054260fd4d83fc402"));
    assert_eq!(hex(backlog), documented("404142434445464748494a4b03000000"));
    let tokens = ["36ce29e7505ae4ce1a625eb6db49d8cd", "56ba30f090b7e644ae4f5658fba1b51e"];

    let server = key(0);
    let mut buffer = [0; OVERHEAD + 16 * 3];
    let timestamp = Timestamp::parse(TIME).unwrap();
    let mut draft = Draft::new(&mut buffer, Op::Acknowledgment, None, None, timestamp);
    let mut shared = SharedTokens::new(&mut Told::new(&unhex(IV)), draft.payload_mut()).unwrap();
    shared.push(&CRYPTO, &session_key(), status).unwrap();
    shared.push(&CRYPTO, &session_key(), backlog).unwrap();
    let len = shared.payload_len();
    let (_, packet) = draft.sign(&CRYPTO, &server, &mut Told::new(&[]), len).unwrap();
    let payload = Packet::parse(&*packet).unwrap().payload().to_vec();
    assert_eq!(hex(&payload), [IV, documented(tokens[0]), documented(tokens[1])].concat());

    let opened = |key: SessionKey| {
        let mut bytes = packet.to_vec();
        let packet = Unverified::new(&CRYPTO, Packet::parse(bytes.as_mut_slice()).unwrap());
        let packet = packet.verify(&public(&server)).unwrap();
        key.open_tokens(&CRYPTO, packet).unwrap().to_vec()
    };
    assert_eq!(opened(session_key()), [status, backlog]);
    let noise = opened(SessionKey::from_bytes(&[9; 32]));
    assert!(noise.iter().all(|block| BacklogToken::parse(block, &nonce()).is_none()));
}

#[test]
fn fingerprints_and_a_safety_number() {
    let spki = |byte| Spki::from_modulus(&[byte; 256]).unwrap();
    let ann = Fingerprint::of(&CRYPTO, &phone(ANN), &spki(0x81));
    let ben = Fingerprint::of(&CRYPTO, &phone(BEN), &spki(0xc3));
    let number = "53914 43537 41220 20973 85927 45914 38109 95007 31917 97447 36818 31142";
    let expected = [
        "dcb93592ef1622b37332e54bb4178aa8fed3741eb6fffca3ee4f7775a415c9fb",
        "b440895ae4c889983a84cdfe19fe10e32849d2d858edb3327ee41bf174a0a857",
    ];
    assert_eq!([hex(ann.0), hex(ben.0)], expected.map(documented));
    assert_eq!(SafetyNumber::of(&CRYPTO, &ann, &ben).to_string(), documented(number));
    assert_eq!(SafetyNumber::of(&CRYPTO, &ben, &ann).to_string(), number);
}

const TEXT: &str = "3f43d9cefe914242c55fbfd6af2a9771aea11c975506a56895c53addb36bce78";
const RECEIPT: &str = "3f43d9cefe914242c55fbfd6af2a977102307de99c847a15fa975f53a07fb791\
                       883223aa4572ab474b37434b01ab03c5";

fn contents() -> [(Content<'static>, &'static str); 2] {
    [(Content::Text("Grüße"), TEXT), (Content::ReadReceipt(Uid(counting(0xd0))), RECEIPT)]
}

/// Two people, and the label of letters from the first to the second.
fn people() -> ([(RustCryptoKey, Fingerprint); 2], Vec<u8>) {
    let person = |at, number| {
        let key = key(at);
        let fingerprint = Fingerprint::of(&CRYPTO, &phone(number), key.spki());
        (key, fingerprint)
    };
    let (ann, ben) = (person(1, ANN), person(2, BEN));
    let label = [b"waxwing/1:102", &ann.1.0[..], &ben.1.0].concat();
    assert_eq!(label.len(), 77);
    ([ann, ben], label)
}

#[test]
fn an_envelope_has_the_bytes_that_the_document_says() {
    let ([(_, ann), (key, ben)], label) = people();
    let message_key: [u8; 32] = counting(0xa0);
    for (content, expected) in contents() {
        let mut out = [0; 400];
        let uid = Uid(counting(0x80));
        let (told, to) = (&mut Told::new(&message_key), &public(&key));
        let len = envelope::seal(&CRYPTO, told, &ann, &ben, to, &uid, &content, &mut out).unwrap();
        assert_eq!(out[..2], [1, 1]);
        let mut opened = [0; 190];
        let wrapped = out[2..].first_chunk().unwrap();
        assert_eq!(key.oaep_open(&mut Told::new(&[]), &label, wrapped, &mut opened), Ok(32));
        assert_eq!(opened[..32], message_key);
        // The IV was drawn by chance; under the expected one the blocks are the expected ones.
        let (head, sealed) = out[..len].split_at_mut(274);
        let iv = head.last_chunk().unwrap();
        let content_len = CRYPTO.cbc_decrypt(&message_key, iv, sealed).unwrap();
        let iv = unhex(IV).try_into().unwrap();
        CRYPTO.cbc_encrypt(&message_key, &iv, sealed, content_len).unwrap();
        assert_eq!(hex(sealed), documented(expected));
    }
}

#[test]
fn an_envelope_made_by_hand_opens() {
    let ([(sender, ann), (key, ben)], label) = people();
    let message_key: [u8; 32] = counting(0xa0);
    for (content, blocks) in contents() {
        let wrapped = public(&key).oaep_seal(&mut Told::new(&[]), &label, &message_key).unwrap();
        let payload = [&[1, 1][..], &wrapped, &unhex(IV), &unhex(blocks)].concat();
        let mut buffer = [0; 1_024];
        let timestamp = Timestamp::parse(TIME).unwrap();
        let (from, to) = (Some(user(7)), Some(user(300)));
        let mut draft = Draft::new(&mut buffer, Op::Letter, from, to, timestamp);
        draft.payload_mut()[..payload.len()].copy_from_slice(&payload);
        let (_, packet) = draft.sign(&CRYPTO, &sender, &mut Told::new(&[]), payload.len()).unwrap();
        let packet = Unverified::new(&CRYPTO, Packet::parse(packet).unwrap());
        let verified = packet.verify(&public(&sender)).unwrap();
        let opened =
            envelope::open(&CRYPTO, &mut Told::new(&[]), &ann, &ben, &key, verified).unwrap();
        assert_eq!((opened.uid, opened.content), (Uid(counting(0x80)), content));
    }
}

/// The content has exactly so many bytes, and does not fit into fewer.
#[track_caller]
fn fills(len: usize, emit: impl Fn(&mut Writer<'_>) -> Result<(), Full>) {
    let mut buffer = vec![0; len];
    let mut writer = Writer::new(&mut buffer);
    emit(&mut writer).unwrap();
    assert_eq!(writer.position(), len);
    assert_eq!(emit(&mut Writer::new(&mut buffer[1..])), Err(Full));
}

#[test]
fn the_longest_contents_have_as_many_bytes_as_is_said() {
    let (own, longest) = (key(0), phone("+491511234567890"));
    let reply_key = ReplyKey::from_bytes(&[1; 32]);
    let digest = CRYPTO.sha256(&[own.spki().as_bytes()]);
    let otp = Otp::parse(b"123456").unwrap();
    let text = "x".repeat(MAX_REFUSAL_TEXT);
    let (code, packet) = (ErrorCode::Busy.code(), Some(letter()));
    let refusal = Refusal { code, op: 102, retry_after_s: 1, packet, text: &text };
    let answer = KeyAnswer { user: user(7), phone: longest, spki: own.spki().clone() };

    assert_eq!(RegistrationRequest::MAX_LEN, 49);
    fills(RegistrationRequest::MAX_LEN, |w| RegistrationRequest::emit(w, &reply_key, &longest));
    assert_eq!(OtpProof::MAX_LEN, 103);
    fills(OtpProof::MAX_LEN, |w| {
        OtpProof::emit(w, &reply_key, &otp, &Nonce([2; 16]), &digest, &longest)
    });
    assert_eq!(KeyAnswer::MAX_LEN, 313);
    fills(KeyAnswer::MAX_LEN, |w| answer.emit(w));
    assert_eq!(Refusal::MAX_LEN, 150);
    fills(Refusal::MAX_LEN, |w| refusal.emit(w));
}

#[test]
fn values_of_the_wire_say_in_a_log_what_they_are() {
    let mut buffer = [0; 4];
    let mut writer = Writer::new(&mut buffer);
    writer.u16(7).unwrap();
    assert_eq!(format!("{writer:?}"), "Writer(2 of 4 bytes)");
    assert_eq!(format!("{:?}", Reader::new(&[1, 2, 3])), "Reader(3 bytes left)");
    let content = Content::Text("hello");
    assert_eq!(format!("{content:?}"), "Text(5 bytes)");
    let proof = OtpProof {
        reply_key: ReplyKey::from_bytes(&[1; 32]),
        otp: Zeroizing::new(*b"123456"),
        nonce: nonce(),
        spki_digest: Digest([0; 32]),
        phone: b"+491511234567",
    };
    let shown = format!("{proof:?}");
    assert!(shown.starts_with("OtpProof {") && !shown.contains("12345"), "{shown}");
    let request =
        RegistrationRequest { reply_key: ReplyKey::from_bytes(&[1; 32]), phone: b"+491511234567" };
    let shown = format!("{request:?}");
    assert!(shown.starts_with("RegistrationRequest {") && !shown.contains("4915"), "{shown}");
    assert_eq!(ErrorCode::MailboxFull.to_string(), "MailboxFull");
}
