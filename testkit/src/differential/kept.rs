//! Inputs that are kept: test vectors, and seeds and corpora of the fuzz targets that read the same.

use std::fs;
use std::path::Path;

use super::inputs::Input;
use super::verdict::Kind;
use crate::vectors::replay::cases;
use crate::vectors::unhex;

/// All of them, in the same order every time.
pub fn kept() -> Vec<Input> {
    let mut inputs = vectors();
    for folder in ["seeds", "corpus"] {
        for target in ["packet_parse", "packet_roundtrip", "timestamp", "phone_otp"] {
            let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/fuzz");
            let Ok(files) = fs::read_dir(package.join(folder).join(target)) else { continue };
            let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            paths.sort();
            let inputs_of = |path| of_target(target, fs::read(path).unwrap());
            inputs.extend(paths.iter().flat_map(inputs_of));
        }
    }
    inputs
}

/// Bad values, and the contents of good packets.
fn vectors() -> Vec<Input> {
    const FILES: [&str; 8] = [
        "bad_values.json",
        "registration.json",
        "session.json",
        "acknowledgments.json",
        "directory.json",
        "backlog.json",
        "closing.json",
        "refusals.json",
    ];
    FILES
        .into_iter()
        .flat_map(cases)
        .filter_map(|case| {
            let bytes = case.get("bytes").or_else(|| case.get("content"))?;
            Some((kind_of_vector(case["kind"].as_str()?)?, unhex(bytes.as_str()?)))
        })
        .collect()
}

fn kind_of_vector(name: &str) -> Option<Kind> {
    Some(match name {
        "timestamp" => Kind::Timestamp,
        "header_and_rest" => Kind::Packet,
        "phone" => Kind::Phone,
        "otp" => Kind::Code,
        "spki" => Kind::PublicKey,
        "registration_request" => Kind::RegistrationRequest,
        "otp_proof" => Kind::OtpProof,
        "registration_rejected" => Kind::RegistrationRejected,
        "otp_issued" => Kind::OtpGrant,
        "session_issued" | "session_renewed" => Kind::SessionGrant,
        "key_question" => Kind::KeyQuestion,
        "key_answer" => Kind::KeyAnswer,
        "confirmation" | "held" | "status_queries" => Kind::ClientReport,
        "statuses" => Kind::Statuses,
        "backlog_end" => Kind::BacklogSize,
        "closing" => Kind::CloseReason,
        "refusal" => Kind::Refusal,
        _ => return None,
    })
}

/// An input of a fuzz target, as what the target takes it for.
fn of_target(target: &str, bytes: Vec<u8>) -> Vec<Input> {
    match target {
        "packet_parse" => vec![(Kind::Packet, bytes)],
        "timestamp" => {
            let moment = bytes.iter().copied().take(8).collect();
            vec![(Kind::Moment, moment), (Kind::Timestamp, bytes)]
        }
        "phone_otp" => vec![(Kind::Phone, bytes.clone()), (Kind::Code, bytes)],
        _ => {
            const KINDS: [Kind; 12] = [
                Kind::RegistrationRejected,
                Kind::BacklogSize,
                Kind::CloseReason,
                Kind::KeyQuestion,
                Kind::KeyAnswer,
                Kind::OtpGrant,
                Kind::SessionGrant,
                Kind::Refusal,
                Kind::ClientReport,
                Kind::Statuses,
                Kind::RegistrationRequest,
                Kind::OtpProof,
            ];
            let kind = |kind: u8| KINDS[usize::from(kind) % KINDS.len()];
            bytes
                .split_first()
                .map(|(first, body)| (kind(*first), body.to_vec()))
                .into_iter()
                .collect()
        }
    }
}
