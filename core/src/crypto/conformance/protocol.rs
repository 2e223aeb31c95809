//! The protocol's own constructions over the backend: seals, tokens, fingerprints, letters.
//!
//! The known bytes are those of PROTOCOL.md, "Test values".

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

use super::{Failure, Suite, hex, same};
use crate::crypto::{
    BLOCK_LEN, CryptoRng, Iv, KEY_LEN, PrivateKey, Provider, Rejected, ReplyKey, SessionKey,
    SessionSeal, SharedTokens, Spki, Unverified,
};
use crate::envelope::{self, Content, Fingerprint, SafetyNumber};
use crate::id::{Nonce, PacketId, Uid, UserId};
use crate::limits::OVERHEAD;
use crate::phone::{Otp, Phone};
use crate::time::Timestamp;
use crate::wire::{
    BacklogSize, BacklogToken, ClientReport, CloseReason, Draft, Op, OtpGrant, Packet, Status,
    StatusToken,
};

/// What any private key will do for: `key` signs, and opens what was sealed for it.
pub(super) fn run<P: Provider>(
    provider: &P,
    key: &P::PrivateKey,
    rng: &mut dyn CryptoRng,
    suite: &mut Suite<'_>,
) {
    suite.case("protocol: id of a packet", packet_id(provider));
    suite.case("protocol: session seals", session_seals(provider));
    suite.case("protocol: answer under a reply key", reply_key(provider));
    suite.case("protocol: tokens", tokens(provider));
    suite.case("protocol: fingerprints and safety number", fingerprints(provider));
    suite.case("protocol: sealed part of a letter", letter_blocks(provider));
    suite.case("protocol: a letter there and back", letter(provider, key, rng));
}

fn packet_id<P: Provider>(provider: &P) -> Result<(), Failure> {
    let id = PacketId::of(&provider.sha256(&[&LETTER_HEADER, &[0; 306]]));
    same(&id.0, &LETTER_ID)
}

fn session_seals<P: Provider>(provider: &P) -> Result<(), Failure> {
    let mut seal = SessionSeal::new(SessionKey::from_bytes(&SESSION_KEY));
    let mut out = [0; 64];
    let len = seal.seal(provider, &mut FixedIv, &mut out, |writer| {
        ClientReport::emit_confirmation(writer, 128)
    });
    same_sealed(&out, len, &CONFIRMATION)?;
    let held = [PacketId(LETTER_ID)];
    let len = seal
        .seal(provider, &mut FixedIv, &mut out, |writer| ClientReport::emit_held(writer, &held));
    same_sealed(&out, len, &HELD)?;
    // A seal with the same content as the first, and another place in the sequence.
    let len =
        seal.seal(provider, &mut FixedIv, &mut out, |writer| ClientReport::emit_held(writer, &[]));
    same_sealed(&out, len, &NOTHING_HELD)?;

    let mut seal = SessionSeal::new(SessionKey::from_bytes(&SESSION_KEY));
    let len =
        seal.seal(provider, &mut FixedIv, &mut out, |writer| CloseReason::Leaving.emit(writer));
    let sealed = out.get_mut(BLOCK_LEN..len.unwrap_or(0)).ok_or(Failure::Refused)?;
    let len = provider.cbc_decrypt(&SESSION_KEY, &IV, sealed)?;
    same(sealed.get(..len).unwrap_or(&[]), &[0, 0, 0, 0, 1])
}

fn reply_key<P: Provider>(provider: &P) -> Result<(), Failure> {
    let otp = Otp::parse(b"123456").map_err(|_| Failure::WrongAnswer)?;
    let grant = OtpGrant { ttl_s: 300, attempts: 3, resend_s: 30, otp: Some(otp) };
    let mut out = [0; 32];
    let len = ReplyKey::from_bytes(&REPLY_KEY)
        .seal(provider, &mut FixedIv, &mut out, |writer| grant.emit(writer));
    same_sealed(&out, len, &OTP_IN_BAND)
}

fn tokens<P: Provider>(provider: &P) -> Result<(), Failure> {
    let letter = PacketId(LETTER_ID).prefix();
    let status = StatusToken { letter, status: Status::Delivered }.to_block();
    let backlog = BacklogToken::block(&Nonce(NONCE), BacklogSize(3));
    let key = SessionKey::from_bytes(&SESSION_KEY);
    let mut out = [0; 3 * BLOCK_LEN];
    let mut shared = SharedTokens::new(&mut FixedIv, &mut out).map_err(|_| Failure::Refused)?;
    shared.push(provider, &key, status).map_err(|_| Failure::Refused)?;
    shared.push(provider, &key, backlog).map_err(|_| Failure::Refused)?;
    let len = shared.payload_len();
    same_sealed(&out, Ok::<_, Rejected>(len), &TOKENS)?;
    let mut block = STATUS_TOKEN;
    provider.decrypt_block(&SESSION_KEY, &IV, &mut block);
    same(&block, &status)
}

fn fingerprints<P: Provider>(provider: &P) -> Result<(), Failure> {
    let ann = Fingerprint::of(provider, &phone(b"+15550001")?, &modulus_of(0x81)?);
    let ben = Fingerprint::of(provider, &phone(b"+445550002")?, &modulus_of(0xc3)?);
    same(&ann.0, &ANN)?;
    same(&ben.0, &BEN)?;
    same(SafetyNumber::of(provider, &ann, &ben).groups(), &SAFETY_NUMBER)?;
    same(SafetyNumber::of(provider, &ben, &ann).groups(), &SAFETY_NUMBER)
}

fn letter_blocks<P: Provider>(provider: &P) -> Result<(), Failure> {
    let mut blocks = TEXT;
    let len = provider.cbc_decrypt(&MESSAGE_KEY, &IV, &mut blocks)?;
    let (uid, rest) =
        blocks.get(..len).unwrap_or(&[]).split_first_chunk().ok_or(Failure::WrongAnswer)?;
    same(uid, &UID)?;
    same(rest, b"\x01Gr\xc3\xbc\xc3\x9fe")
}

/// Seals and signs a letter to the key's own holder, verifies and opens it, and shows that under
/// another sender's name it does not open.
fn letter<P: Provider>(
    provider: &P,
    key: &P::PrivateKey,
    rng: &mut dyn CryptoRng,
) -> Result<(), Failure> {
    let public = provider.public_key(key.spki())?;
    let to = Fingerprint::of(provider, &phone(b"+445550002")?, key.spki());
    let from = Fingerprint::of(provider, &phone(b"+15550001")?, key.spki());
    let content = Content::Text("letter");
    let mut buffer = [0; OVERHEAD + 306];
    for (name, outcome) in [(&from, Ok(())), (&to, Err(Failure::Refused))] {
        let time = Timestamp::parse(b"2026-03-14 09:26:53").map_err(|_| Failure::WrongAnswer)?;
        let mut draft = Draft::new(&mut buffer, Op::Letter, UserId::new(7), UserId::new(300), time);
        let room = draft.payload_mut();
        let len = envelope::seal(provider, rng, &from, &to, &public, &Uid(UID), &content, room);
        let signed = draft.sign(provider, key, rng, len.map_err(|_| Failure::Refused)?);
        let (_, bytes) = signed.map_err(|_| Failure::Refused)?;
        let packet = Packet::parse(bytes).map_err(|_| Failure::WrongAnswer)?;
        let verified = Unverified::new(provider, packet).verify(&public)?;
        let opened = envelope::open(provider, rng, name, &to, key, verified);
        let opened = opened.map_err(|_| Failure::Refused).and_then(|opened| {
            same(&opened.uid.0, &UID)?;
            same(&opened.content, &content)
        });
        same(&opened, &outcome)?;
    }
    Ok(())
}

/// `IV ‖ blocks`, as it was written.
fn same_sealed<E>(out: &[u8], len: Result<usize, E>, blocks: &[u8]) -> Result<(), Failure> {
    let written = out.get(..len.map_err(|_| Failure::Refused)?).unwrap_or(&[]);
    let (iv, sealed) = written.split_at_checked(BLOCK_LEN).ok_or(Failure::WrongAnswer)?;
    same(iv, &IV)?;
    same(sealed, blocks)
}

fn phone(text: &[u8]) -> Result<Phone, Failure> {
    Phone::parse(text).map_err(|_| Failure::WrongAnswer)
}

fn modulus_of(byte: u8) -> Result<Spki, Failure> {
    Spki::from_modulus(&[byte; 256]).map_err(|_| Failure::WrongAnswer)
}

/// Draws the IV of the test values, whatever it is asked for.
struct FixedIv;

impl TryRng for FixedIv {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for (to, from) in to.iter_mut().zip(&IV) {
            *to = *from;
        }
        Ok(())
    }
}

impl TryCryptoRng for FixedIv {}

static SESSION_KEY: [u8; KEY_LEN] =
    hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
static REPLY_KEY: [u8; KEY_LEN] =
    hex("606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f");
static MESSAGE_KEY: [u8; KEY_LEN] =
    hex("a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf");
static IV: Iv = hex("202122232425262728292a2b2c2d2e2f");
static NONCE: [u8; 16] = hex("404142434445464748494a4b4c4d4e4f");
static UID: [u8; 16] = hex("808182838485868788898a8b8c8d8e8f");

static LETTER_HEADER: [u8; 26] = hex("07002c01323032362d30332d31342030393a32363a3533663201");
static LETTER_ID: [u8; 16] = hex("240fe138ac1e6c5054260fd4d83fc40c");
static CONFIRMATION: [u8; 16] = hex("a046aa820941d7e024fce74e863324d5");
static HELD: [u8; 32] = hex("6490c5ff92f33c898c7ca2920da506d7f2cb0197ecd434bc5e62444e85f8ff46");
static NOTHING_HELD: [u8; 16] = hex("196acf573bd39afeeade718a6e9eb793");
static OTP_IN_BAND: [u8; 16] = hex("5a833ec556d94d22b7a65d25dca30b79");
static STATUS_TOKEN: [u8; 16] = hex("36ce29e7505ae4ce1a625eb6db49d8cd");
static TOKENS: [u8; 32] = hex("36ce29e7505ae4ce1a625eb6db49d8cd56ba30f090b7e644ae4f5658fba1b51e");
static ANN: [u8; 32] = hex("dcb93592ef1622b37332e54bb4178aa8fed3741eb6fffca3ee4f7775a415c9fb");
static BEN: [u8; 32] = hex("b440895ae4c889983a84cdfe19fe10e32849d2d858edb3327ee41bf174a0a857");
static SAFETY_NUMBER: [u32; 12] = [
    53_914, 43_537, 41_220, 20_973, 85_927, 45_914, 38_109, 95_007, 31_917, 97_447, 36_818, 31_142,
];
static TEXT: [u8; 32] = hex("3f43d9cefe914242c55fbfd6af2a9771aea11c975506a56895c53addb36bce78");
