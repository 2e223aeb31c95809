//! Payloads: how each op closes its content, and opening what a key log has keys for.

use std::io;

use waxwing_core::crypto::{BLOCK_LEN, Iv, KEY_LEN, Provider, RSA_LEN, Spki};
use waxwing_core::envelope;
use waxwing_core::limits::{ENVELOPE_OVERHEAD, MAX_SEALED, MAX_TOKENS, MIN_ENVELOPE};
use waxwing_core::wire::{BacklogToken, Header, Op, OtpProof, ReconnectForm, StatusToken};

use super::content;
use super::explain::Knowledge;
use super::tree::Tree;
use crate::backend::provider;
use crate::keylog::hex;

/// A payload where it lies.
pub(super) struct Payload<'a> {
    pub(super) header: &'a Header,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// What PROTOCOL.md calls an op.
pub(super) const fn name(op: Op) -> &'static str {
    match op {
        Op::RegistrationRequest => "registration request",
        Op::OtpProof => "code and public key",
        Op::Letter => "letter",
        Op::KeyQuestion => "key question",
        Op::ReconnectRequest => "reconnect request",
        Op::RegistrationRejected => "registration rejected",
        Op::OtpIssued => "code issued",
        Op::SessionIssued => "session key, new user",
        Op::Acknowledgment => "acknowledgment",
        Op::KeyAnswer => "key answer",
        Op::SessionRenewed => "session key, reconnect",
        Op::Close => "closing",
        Op::Refusal => "refusal",
        Op::BacklogEnd => "end of backlog",
    }
}

/// The key that stands in a 101.
pub(super) fn key_of_proof(payload: &[u8]) -> Option<&[u8]> {
    OtpProof::split(payload).ok().map(|(_, spki)| &spki[..])
}

pub(super) fn explain(
    tree: &mut Tree<'_>,
    knowledge: &Knowledge,
    payload: &Payload<'_>,
) -> io::Result<()> {
    let Payload { header, bytes, at } = payload;
    let Some(op) = Op::from_code(header.op_code) else {
        return tree.fault(format_args!("the op {} does not exist", header.op_code));
    };
    check_ids(tree, op, header)?;
    tree.field(*at, bytes, "payload", "")?;
    tree.inside(|tree| match op {
        Op::RegistrationRequest => oaep(tree, payload, "the server: reply_key, phone"),
        Op::OtpProof => proof(tree, payload),
        Op::SessionIssued | Op::SessionRenewed => {
            oaep(tree, payload, "the recipient: session_key, nonce")
        }
        Op::ReconnectRequest => reconnect(tree, knowledge, payload),
        Op::RegistrationRejected | Op::OtpIssued => reply(tree, knowledge, op, payload),
        Op::Letter => letter(tree, payload),
        Op::Refusal if header.recipient.is_none() => {
            content::explain(tree, op, header.sender.is_some(), *at, bytes)
        }
        Op::Acknowledgment | Op::BacklogEnd if is_shared(header) => {
            shared(tree, knowledge, op, payload)
        }
        Op::KeyQuestion
        | Op::Acknowledgment
        | Op::KeyAnswer
        | Op::Close
        | Op::Refusal
        | Op::BacklogEnd => sealed(tree, knowledge, op, payload),
    })
}

fn is_shared(header: &Header) -> bool {
    header.sender.is_none() && header.recipient.is_none()
}

/// The ids that the op's row in PROTOCOL.md, "Op codes", allows.
fn check_ids(tree: &mut Tree<'_>, op: Op, header: &Header) -> io::Result<()> {
    let ids = (header.sender.is_some(), header.recipient.is_some());
    let allowed: &[(bool, bool)] = match op {
        Op::RegistrationRequest | Op::OtpProof | Op::RegistrationRejected | Op::OtpIssued => {
            &[(false, false)]
        }
        Op::Letter => &[(true, true)],
        Op::KeyQuestion | Op::ReconnectRequest => &[(true, false)],
        Op::SessionIssued | Op::SessionRenewed | Op::KeyAnswer => &[(false, true)],
        Op::Close => &[(true, false), (false, true)],
        Op::Refusal | Op::BacklogEnd => &[(false, true), (false, false)],
        Op::Acknowledgment => &[(true, false), (false, true), (false, false)],
    };
    if allowed.contains(&ids) { Ok(()) } else { tree.fault("a packet of this op has other ids") }
}

fn oaep(tree: &mut Tree<'_>, payload: &Payload<'_>, to: &str) -> io::Result<()> {
    if payload.bytes.len() != RSA_LEN {
        return tree.fault(format_args!("the block has {RSA_LEN} bytes"));
    }
    tree.field(payload.at, payload.bytes, "OAEP", format_args!("to {to}"))
}

fn proof(tree: &mut Tree<'_>, payload: &Payload<'_>) -> io::Result<()> {
    let Ok((block, spki)) = OtpProof::split(payload.bytes) else {
        return tree.fault(format_args!("the payload has {} bytes", OtpProof::PAYLOAD_LEN));
    };
    let to = "to the server: reply_key, otp, nonce, SHA-256(spki), phone";
    tree.field(payload.at, block, "OAEP", to)?;
    tree.field(payload.at + RSA_LEN, spki, "spki", "the client's public key")?;
    match Spki::parse(spki) {
        Err(_) => tree.fault("not an RSA key of 2048 bits with exponent 65537 in its one form"),
        Ok(spki) if spki.has_small_factor() => {
            tree.fault("the modulus has a prime factor below 65,536")
        }
        Ok(spki) => {
            tree.note(format_args!("SHA-256 {}", hex(&provider().sha256(&[spki.as_bytes()]).0)))
        }
    }
}

fn reconnect(tree: &mut Tree<'_>, knowledge: &Knowledge, payload: &Payload<'_>) -> io::Result<()> {
    match ReconnectForm::parse(payload.bytes) {
        Err(_) => tree.fault("a 106 has 256 bytes, or 48 in its short form"),
        Ok(ReconnectForm::Long(_)) => oaep(tree, payload, "the server: nonce"),
        Ok(ReconnectForm::Short { iv, sealed }) => {
            iv_and_blocks(tree, payload, "under the last session_key: nonce")?;
            let user = payload.header.sender;
            let sessions =
                knowledge.keys.sessions.iter().filter(|session| Some(session.user) == user);
            let nonce = sessions.filter_map(|session| opened(session.key.expose(), iv, sealed));
            match nonce.into_iter().find(|nonce| nonce.len() == BLOCK_LEN) {
                Some(nonce) => tree.note(format_args!("opened: nonce {}", hex(&nonce))),
                None => closed(tree, knowledge),
            }
        }
    }
}

/// IV and blocks; says whether they have the form of some.
fn iv_and_blocks(tree: &mut Tree<'_>, payload: &Payload<'_>, what: &str) -> io::Result<bool> {
    let Payload { bytes, at, .. } = payload;
    let Some((iv, blocks)) = bytes.split_first_chunk::<BLOCK_LEN>() else {
        tree.fault("an IV has 16 bytes")?;
        return Ok(false);
    };
    tree.field(*at, iv, "IV", "")?;
    tree.field(at + BLOCK_LEN, blocks, "CBC", what)?;
    let whole = !blocks.is_empty() && blocks.len().is_multiple_of(BLOCK_LEN);
    if !whole {
        tree.fault("not whole blocks of 16 bytes")?;
    }
    Ok(whole)
}

/// Decrypts what nobody has verified: a reader of captures has keys and no connection, so there is
/// no peer to whom it could tell what a padding was.
fn opened(key: &[u8; KEY_LEN], iv: &Iv, blocks: &[u8]) -> Option<Vec<u8>> {
    let mut blocks = blocks.to_vec();
    let len = provider().cbc_decrypt(key, iv, &mut blocks).ok()?;
    blocks.truncate(len);
    Some(blocks)
}

fn closed(tree: &mut Tree<'_>, knowledge: &Knowledge) -> io::Result<()> {
    let keys = &knowledge.keys;
    if keys.sessions.is_empty() && keys.replies.is_empty() {
        return Ok(());
    }
    tree.note("not opened: no key of the log fits")
}

fn reply(
    tree: &mut Tree<'_>,
    knowledge: &Knowledge,
    op: Op,
    payload: &Payload<'_>,
) -> io::Result<()> {
    if payload.bytes.len() != 2 * BLOCK_LEN {
        tree.fault("the payload has 32 bytes")?;
    }
    if !iv_and_blocks(tree, payload, "under the reply_key")? {
        return Ok(());
    }
    let Some((iv, blocks)) = payload.bytes.split_first_chunk() else { return Ok(()) };
    let opened = knowledge.keys.replies.iter().filter_map(|key| opened(key.expose(), iv, blocks));
    match content::best(opened.collect(), op, false) {
        None => closed(tree, knowledge),
        Some(content) => {
            tree.note("opened")?;
            tree.inside(|tree| content::explain(tree, op, false, 0, &content))
        }
    }
}

fn sealed(
    tree: &mut Tree<'_>,
    knowledge: &Knowledge,
    op: Op,
    payload: &Payload<'_>,
) -> io::Result<()> {
    let Payload { header, bytes, .. } = payload;
    if bytes.len() > MAX_SEALED {
        tree.fault(format_args!("a sealed payload has {MAX_SEALED} bytes at most"))?;
    }
    if !iv_and_blocks(tree, payload, "under the session_key: seq, content")? {
        return Ok(());
    }
    let from_client = header.sender.is_some();
    let user = header.sender.or(header.recipient);
    let Some((iv, blocks)) = bytes.split_first_chunk() else { return Ok(()) };
    let sessions = knowledge.keys.sessions.iter().filter(|session| Some(session.user) == user);
    let inside: Vec<Vec<u8>> =
        sessions.filter_map(|session| opened(session.key.expose(), iv, blocks)).collect();
    let with_seq = inside.iter().filter_map(|inside| inside.split_first_chunk::<4>());
    let contents = with_seq.clone().map(|(_, content)| content.to_vec()).collect();
    let Some(best) = content::best(contents, op, from_client) else {
        return closed(tree, knowledge);
    };
    let seq = with_seq.into_iter().find(|(_, content)| *content == best).map(|(seq, _)| *seq);
    let seq = u32::from_le_bytes(seq.unwrap_or_default());
    tree.note(format_args!("opened: seq {seq}"))?;
    tree.inside(|tree| content::explain(tree, op, from_client, 0, &best))
}

fn shared(
    tree: &mut Tree<'_>,
    knowledge: &Knowledge,
    op: Op,
    payload: &Payload<'_>,
) -> io::Result<()> {
    let Payload { bytes, at, .. } = payload;
    let Some((iv, rest)) = bytes.split_first_chunk::<BLOCK_LEN>() else {
        return tree.fault("an IV has 16 bytes");
    };
    tree.field(*at, iv, "IV", "")?;
    let (tokens, tail) = rest.as_chunks::<BLOCK_LEN>();
    for (number, token) in tokens.iter().enumerate() {
        let meaning = own_token(knowledge, op, iv, token).unwrap_or_default();
        tree.field(at + BLOCK_LEN * (number + 1), token, "token", meaning)?;
    }
    if !tail.is_empty() || !(1..=MAX_TOKENS).contains(&tokens.len()) {
        tree.fault(format_args!("1 to {MAX_TOKENS} whole tokens of 16 bytes"))?;
    }
    Ok(())
}

/// What a token says to one whose key is known. A 255 names the session. A 203 names a letter: what
/// has a status is most likely one's own, for noise seems to have one in one case of 64.
fn own_token(knowledge: &Knowledge, op: Op, iv: &Iv, token: &[u8; BLOCK_LEN]) -> Option<String> {
    knowledge.keys.sessions.iter().find_map(|session| {
        let mut block = *token;
        provider().decrypt_block(session.key.expose(), iv, &mut block);
        let user = session.user;
        if op == Op::BacklogEnd {
            let size = BacklogToken::parse(&block, &session.nonce)?;
            return Some(format!("for user {user}: {} letters were pending", size.0));
        }
        let StatusToken { letter, status } = StatusToken::parse(&block)?;
        let status = content::status(status.code());
        Some(format!("if for user {user}: letter {letter:?}… is {status}"))
    })
}

fn letter(tree: &mut Tree<'_>, payload: &Payload<'_>) -> io::Result<()> {
    let Payload { bytes, at, .. } = payload;
    let [version, suite, ..] = **bytes else {
        return tree.fault("an envelope has a version and a suite");
    };
    tree.field(*at, &[version], "version", version)?;
    if version != envelope::VERSION {
        return tree.fault("an unknown version: the rest is not known");
    }
    tree.field(at + 1, &[suite], "suite", suite)?;
    if suite != envelope::SUITE {
        return tree.fault("an unknown suite: the rest is not known");
    }
    let Some((head, blocks)) = bytes.split_first_chunk::<ENVELOPE_OVERHEAD>() else {
        return tree.fault(format_args!("an envelope has {MIN_ENVELOPE} bytes or more"));
    };
    let (wrapped, iv) = head[2..].split_at(RSA_LEN);
    tree.field(at + 2, wrapped, "OAEP", "to the recipient: message_key")?;
    tree.field(at + 2 + RSA_LEN, iv, "IV", "")?;
    let what = "under the message_key: uid, kind, body";
    tree.field(at + ENVELOPE_OVERHEAD, blocks, "CBC", what)?;
    if bytes.len() < MIN_ENVELOPE || !blocks.len().is_multiple_of(BLOCK_LEN) {
        tree.fault("not whole blocks of 16 bytes, two or more")?;
    }
    Ok(())
}
