//! What the Rust decoder makes of an input, in one line, to be compared with another decoder's.
//!
//! A line begins with `ok`, and what was read follows, field by field; or it is `malformed`,
//! `bad phone` (PROTOCOL.md, "Registration") or `weak key` ("Keys").

use std::fmt::Write;

use waxwing_core::crypto::{Provider, RustCrypto, Spki, WeakKey};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{
    BacklogSize, ClientReport, CloseReason, KeyAnswer, KeyQuestion, Malformed, OtpGrant, OtpProof,
    Packet, Refusal, RegistrationRejected, RegistrationRequest, SessionGrant, Statuses, Successor,
};

use super::conduct::{self, Moment};

/// What an input is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// One whole packet.
    Packet,
    /// A phone number, without its length.
    Phone,
    /// A one-time password.
    Code,
    /// A header's timestamp.
    Timestamp,
    /// Seconds since 1970, of which the timestamp is made: eight bytes, little endian, signed.
    Moment,
    /// A public key.
    PublicKey,
    /// What is inside of a 100.
    RegistrationRequest,
    /// What is inside of a 101.
    OtpProof,
    /// What is inside of a 150.
    RegistrationRejected,
    /// What is inside of a 200.
    OtpGrant,
    /// What is inside of a 201 or 206.
    SessionGrant,
    /// What is inside of a 105.
    KeyQuestion,
    /// What is inside of a 204.
    KeyAnswer,
    /// What is inside of a client's 203.
    ClientReport,
    /// What is inside of a sealed 203 of the server's.
    Statuses,
    /// What is inside of a sealed 255.
    BacklogSize,
    /// What is inside of a 222.
    CloseReason,
    /// What is inside of a 244.
    Refusal,
    /// A packet for a client that has sent its 100; see `conduct` for this and what follows.
    ToAsked,
    /// A packet for a client that has sent its 101.
    ToProving,
    /// A packet for a client that has sent its 106.
    ToReconnecting,
    /// A packet for a client that has confirmed its session.
    ToConfirming,
    /// A packet for a client whose backlog has ended.
    ToOnline,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 23] = [
        Self::Packet,
        Self::Phone,
        Self::Code,
        Self::Timestamp,
        Self::Moment,
        Self::PublicKey,
        Self::RegistrationRequest,
        Self::OtpProof,
        Self::RegistrationRejected,
        Self::OtpGrant,
        Self::SessionGrant,
        Self::KeyQuestion,
        Self::KeyAnswer,
        Self::ClientReport,
        Self::Statuses,
        Self::BacklogSize,
        Self::CloseReason,
        Self::Refusal,
        Self::ToAsked,
        Self::ToProving,
        Self::ToReconnecting,
        Self::ToConfirming,
        Self::ToOnline,
    ];

    /// How far the client has come that the input is a packet for, if it is one.
    pub(super) fn moment(self) -> Option<Moment> {
        match self {
            Self::ToAsked => Some(Moment::Asked),
            Self::ToProving => Some(Moment::Proving),
            Self::ToReconnecting => Some(Moment::Reconnecting),
            Self::ToConfirming => Some(Moment::Confirming),
            Self::ToOnline => Some(Moment::Online),
            _ => None,
        }
    }
}

/// Why an input was not taken.
enum Refused {
    Malformed,
    BadPhone,
    WeakKey,
}

impl From<Malformed> for Refused {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<WeakKey> for Refused {
    fn from(WeakKey: WeakKey) -> Self {
        Self::WeakKey
    }
}

/// The line.
pub fn verdict(kind: Kind, data: &[u8]) -> String {
    if let Some(moment) = kind.moment() {
        return conduct::verdict(moment, data);
    }
    match read(kind, data) {
        Ok(fields) => format!("ok {fields}"),
        Err(Refused::Malformed) => "malformed".into(),
        Err(Refused::BadPhone) => "bad phone".into(),
        Err(Refused::WeakKey) => "weak key".into(),
    }
}

fn read(kind: Kind, data: &[u8]) -> Result<String, Refused> {
    Ok(match kind {
        Kind::Packet => packet(&Packet::parse(data)?),
        Kind::Phone => Phone::parse(data)?.as_str().into(),
        Kind::Code => text(Otp::parse(data)?.expose()),
        Kind::Timestamp => timestamp(data)?.to_unix().as_seconds().to_string(),
        Kind::Moment => {
            let seconds = i64::from_le_bytes(data.try_into().map_err(|_| Malformed)?);
            Timestamp::from_unix(UnixTime::from_seconds(seconds)).as_str().into()
        }
        Kind::PublicKey => hex(key(&Spki::parse(data)?)?.as_bytes()),
        Kind::RegistrationRequest => {
            let request = RegistrationRequest::parse(data)?;
            format!("{} {}", hex(request.reply_key.expose()), phone(request.phone)?)
        }
        Kind::OtpProof => {
            let OtpProof { reply_key, otp, nonce, spki_digest, phone: named } =
                OtpProof::parse(data)?;
            let named = phone(named)?;
            let (key, otp) = (hex(reply_key.expose()), hex(otp.as_slice()));
            format!("{key} {otp} {} {} {named}", hex(&nonce.0), hex(&spki_digest.0))
        }
        Kind::RegistrationRejected => {
            RegistrationRejected::parse(data)?;
            "1".into()
        }
        Kind::OtpGrant => {
            let OtpGrant { ttl_s, attempts, resend_s, otp } = OtpGrant::parse(data)?;
            let otp = otp.map_or("-".into(), |otp| text(otp.expose()));
            format!("{ttl_s} {attempts} {resend_s} {otp}")
        }
        Kind::SessionGrant => {
            let SessionGrant { session_key, nonce } = SessionGrant::parse(data)?;
            format!("{} {}", hex(session_key.expose()), hex(&nonce.0))
        }
        Kind::KeyQuestion => match KeyQuestion::parse(data)? {
            KeyQuestion::ById(user) => format!("id {user}"),
            KeyQuestion::ByPhone(phone) => format!("phone {}", phone.as_str()),
            KeyQuestion::Successor => "id 0".into(),
        },
        Kind::KeyAnswer if data.starts_with(&[0, 0]) => {
            let Successor { effective, spki } = Successor::parse(data)?;
            let spki = key(&spki).map_err(|_| Malformed)?;
            format!("{} {}", effective.as_str(), hex(spki.as_bytes()))
        }
        Kind::KeyAnswer => {
            let KeyAnswer { user, phone, spki } = KeyAnswer::parse(data)?;
            // A client that is told of such a key has been told nothing.
            let spki = key(&spki).map_err(|_| Malformed)?;
            format!("{user} {} {}", phone.as_str(), hex(spki.as_bytes()))
        }
        Kind::ClientReport => report(ClientReport::parse(data)?),
        Kind::Statuses => {
            let entry = |(id, status): (PacketId, waxwing_core::wire::Status)| {
                format!("{}:{}", hex(&id.0), status.code())
            };
            join(Statuses::parse(data)?.map(entry))
        }
        Kind::BacklogSize => BacklogSize::parse(data)?.0.to_string(),
        Kind::CloseReason => (CloseReason::parse(data)? as u8).to_string(),
        Kind::Refusal => {
            let Refusal { code, op, retry_after_s, packet, text } = Refusal::parse(data)?;
            let packet = packet.map_or("-".into(), |id| hex(&id.0));
            format!("{code} {op} {retry_after_s} {packet} {}", hex(text.as_bytes()))
        }
        Kind::ToAsked
        | Kind::ToProving
        | Kind::ToReconnecting
        | Kind::ToConfirming
        | Kind::ToOnline => return Err(Refused::Malformed),
    })
}

fn packet(packet: &Packet<&[u8]>) -> String {
    let (header, payload) = (packet.header(), packet.payload());
    let (first, last) = (payload.len().min(4), payload.len().saturating_sub(4));
    format!(
        "{} {} {} {} {} {} {}-{} {}",
        UserId::wire(header.sender),
        UserId::wire(header.recipient),
        header.timestamp.to_unix().as_seconds(),
        header.op_code,
        header.payload_size,
        hex(&PacketId::of(&RustCrypto.sha256(&[packet.signed_bytes()])).0),
        hex(&payload[..first]),
        hex(&payload[last..]),
        hex(packet.signature()),
    )
}

fn report(report: ClientReport<'_>) -> String {
    match report {
        ClientReport::Confirmation { window } => format!("window {window}"),
        ClientReport::Held(ids) => {
            join(std::iter::once("held".into()).chain(ids.map(|id| hex(&id.0))))
        }
        ClientReport::Queries(queries) => {
            let query = |query: waxwing_core::wire::StatusQuery| {
                format!("{}:{}", query.recipient, hex(&query.letter.0))
            };
            join(std::iter::once("asked".into()).chain(queries.map(query)))
        }
    }
}

fn timestamp(data: &[u8]) -> Result<Timestamp, Malformed> {
    Timestamp::parse(data.try_into().map_err(|_| Malformed)?)
}

/// In 100 and 101 a number of another form is refused by a code of its own.
fn phone(data: &[u8]) -> Result<&str, Refused> {
    Phone::parse(data).map_err(|_| Refused::BadPhone)?;
    std::str::from_utf8(data).map_err(|_| Refused::BadPhone)
}

/// The key, unless it has a small factor.
fn key(spki: &Spki) -> Result<&Spki, WeakKey> {
    if spki.has_small_factor() { Err(WeakKey) } else { Ok(spki) }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}

pub(super) fn text(digits: &[u8]) -> String {
    digits.iter().copied().map(char::from).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
