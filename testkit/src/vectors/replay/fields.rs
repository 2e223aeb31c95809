//! What the core's parsers make of a content, in the words of the files.

use serde_json::{Value, json};
use waxwing_core::crypto::{Digest, Spki};
use waxwing_core::envelope::{Content, OpenedLetter};
use waxwing_core::id::{Nonce, PacketId};
use waxwing_core::phone::Phone;
use waxwing_core::wire::{
    BacklogSize, BacklogToken, ClientReport, CloseReason, KeyAnswer, KeyQuestion, Malformed,
    OtpGrant, OtpProof, Refusal, RegistrationRejected, RegistrationRequest, SessionGrant,
    StatusToken, Statuses, Successor,
};

use crate::vectors::json::hex;

/// The fields of a content of this kind.
///
/// # Errors
/// [`Malformed`] when the core's parser says so.
///
/// # Panics
/// When there is no such kind.
pub fn of(kind: &str, content: &[u8]) -> Result<Value, Malformed> {
    Ok(match kind {
        "registration_request" => {
            let RegistrationRequest { reply_key, phone } = RegistrationRequest::parse(content)?;
            json!({ "reply_key": hex(reply_key.expose()), "phone": phone_text(phone)? })
        }
        "otp_proof" => {
            let proof = OtpProof::parse(content)?;
            let Digest(spki_digest) = proof.spki_digest;
            json!({
                "reply_key": hex(proof.reply_key.expose()),
                "otp": String::from_utf8(proof.otp.to_vec()).map_err(|_| Malformed)?,
                "nonce": hex(proof.nonce.0),
                "spki_digest": hex(spki_digest),
                "phone": phone_text(proof.phone)?,
            })
        }
        "registration_rejected" => {
            let RegistrationRejected = RegistrationRejected::parse(content)?;
            json!({ "reason": RegistrationRejected::PHONE_EXISTS })
        }
        "otp_issued" => {
            let OtpGrant { ttl_s, attempts, resend_s, otp } = OtpGrant::parse(content)?;
            let mut fields = json!({ "ttl_s": ttl_s, "attempts": attempts, "resend_s": resend_s });
            if let Some(otp) = otp {
                fields["otp"] = String::from_utf8(otp.expose().to_vec()).unwrap().into();
            }
            fields
        }
        "session_issued" | "session_renewed" => {
            let SessionGrant { session_key, nonce } = SessionGrant::parse(content)?;
            json!({ "session_key": hex(session_key.expose()), "nonce": hex(nonce.0) })
        }
        "reconnect_long" | "reconnect_short" => {
            json!({ "nonce": hex(<[u8; Nonce::LEN]>::try_from(content).map_err(|_| Malformed)?) })
        }
        "confirmation" | "held" | "status_queries" => report(kind, ClientReport::parse(content)?)?,
        "statuses" => {
            let status = |(id, status): (PacketId, waxwing_core::wire::Status)| json!({ "packet_id": hex(id.0), "status": status.code() });
            json!({ "statuses": Statuses::parse(content)?.map(status).collect::<Vec<_>>() })
        }
        "key_question" => match KeyQuestion::parse(content)? {
            KeyQuestion::ById(user) => json!({ "user_id": user.get() }),
            KeyQuestion::ByPhone(phone) => json!({ "phone": phone.as_str() }),
            KeyQuestion::Successor => json!({ "user_id": 0 }),
        },
        "successor" => {
            let Successor { effective, spki } = Successor::parse(content)?;
            json!({ "effective": effective.as_str(), "spki": hex(spki.as_bytes()) })
        }
        "key_answer" => {
            let KeyAnswer { user, phone, spki } = KeyAnswer::parse(content)?;
            json!({ "user_id": user.get(), "phone": phone.as_str(), "spki": hex(spki.as_bytes()) })
        }
        "backlog_end" => json!({ "count": BacklogSize::parse(content)?.0 }),
        "closing" => json!({ "reason": CloseReason::parse(content)? as u8 }),
        "refusal" => {
            let refusal = Refusal::parse(content)?;
            let mut fields = json!({
                "code": refusal.code,
                "op": refusal.op,
                "retry_after_s": refusal.retry_after_s,
                "text": refusal.text,
            });
            if let Some(id) = refusal.packet {
                fields["packet_id"] = hex(id.0).into();
            }
            fields
        }
        _ => panic!("no such kind: {kind}"),
    })
}

fn report(kind: &str, report: ClientReport<'_>) -> Result<Value, Malformed> {
    match (kind, report) {
        ("confirmation", ClientReport::Confirmation { window }) => Ok(json!({ "window": window })),
        ("held", ClientReport::Held(ids)) => {
            Ok(json!({ "packet_ids": ids.map(|id| hex(id.0)).collect::<Vec<_>>() }))
        }
        ("status_queries", ClientReport::Queries(queries)) => {
            let query = |query: waxwing_core::wire::StatusQuery| json!({ "recipient_id": query.recipient.get(), "packet_id": hex(query.letter.0) });
            Ok(json!({ "queries": queries.map(query).collect::<Vec<_>>() }))
        }
        _ => Err(Malformed),
    }
}

fn phone_text(phone: &[u8]) -> Result<String, Malformed> {
    Ok(Phone::parse(phone)?.as_str().to_owned())
}

/// The fields of 101, with the key beside its block.
pub fn with_spki(mut fields: Value, spki: &Spki) -> Value {
    fields["spki"] = hex(spki.as_bytes()).into();
    fields
}

/// The fields of those tokens of a shared packet that are for one with this nonce.
pub fn of_tokens(kind: &str, blocks: &[[u8; 16]], nonce: &Nonce) -> Vec<Value> {
    let token = |block| match kind {
        "status_token" => StatusToken::parse(block)
            .map(|token| json!({ "letter": hex(token.letter.0), "status": token.status.code() })),
        "backlog_token" => BacklogToken::parse(block, nonce)
            .map(|size| json!({ "nonce": hex(&block[..12]), "count": size.0 })),
        _ => panic!("no such kind: {kind}"),
    };
    blocks.iter().filter_map(token).collect()
}

/// The fields of an opened letter.
pub fn of_letter(letter: &OpenedLetter<'_>) -> Value {
    let (kind, member, value) = match letter.content {
        Content::Text(text) => (1, "text", text.to_owned()),
        Content::ReadReceipt(uid) => (2, "receipt", hex(uid.0)),
        Content::Unknown { kind, body } => (kind, "body", hex(body)),
    };
    json!({ "uid": hex(letter.uid.0), "content_kind": kind, member: value })
}
