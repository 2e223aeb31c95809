//! `waxwing packet build`: a packet, good or bad, from a description in TOML.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use waxwing_core::crypto::{BLOCK_LEN, KEY_LEN, PrivateKey, Provider, PublicKey, Spki};
use waxwing_core::limits::SIGNATURE_LEN;
use waxwing_core::time::Timestamp;

use super::{Console, read_file, unread};
use crate::args::Build;
use crate::backend::{load_key, provider, rng};
use crate::clock;
use crate::exit::Failure;
use crate::keylog::{hex, unhex};
use crate::keys::read_server_key;

/// A packet as described. Nothing is checked that a test may want to be wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    op: u8,
    #[serde(default)]
    sender_id: u16,
    #[serde(default)]
    recipient_id: u16,
    timestamp: Option<String>,
    payload_size: Option<u16>,
    #[serde(default)]
    content: Vec<Part>,
    protection: Option<Protection>,
    #[serde(default)]
    behind: Vec<Part>,
    sign_with: Option<PathBuf>,
    signature: Option<String>,
}

/// A field of a content.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Part {
    U8(u8),
    U16(u16),
    U32(u32),
    Hex(String),
    Text(String),
    Phone(String),
    Spki(PathBuf),
    SpkiDigest(PathBuf),
}

/// How the content is closed.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Protection {
    Oaep { key: PathBuf, label: String },
    Cbc { key: String, iv: Option<String> },
    Sealed { session_key: String, iv: Option<String>, seq: u32 },
}

pub(super) fn run(build: &Build, console: &mut Console<'_>) -> Result<(), Failure> {
    let (name, text) = match build.file.to_str() {
        Some("-") => {
            let mut text = String::new();
            let read = console.input.read_to_string(&mut text);
            read.map_err(|error| unread(&error))?;
            ("standard input".to_owned(), text)
        }
        _ => (build.file.display().to_string(), read_file(&build.file)?),
    };
    let description: Description =
        toml::from_str(&text).map_err(|error| wrong(&name, error.to_string().trim_end()))?;
    let packet = packet(&description)?;
    if build.raw {
        console.output.write_all(&packet)?;
    } else {
        writeln!(console.output, "{}", hex(&packet))?;
    }
    Ok(())
}

fn packet(described: &Description) -> Result<Vec<u8>, Failure> {
    let payload = [payload(described)?, joined(&described.behind)?].concat();
    let timestamp = match &described.timestamp {
        Some(text) => text.clone(),
        None => Timestamp::from_unix(clock::now()).as_str().to_owned(),
    };
    if timestamp.len() != Timestamp::LEN {
        return Err(wrong("timestamp", "a timestamp has 19 bytes, right or wrong ones"));
    }
    let size = match described.payload_size {
        Some(size) => size,
        None => u16::try_from(payload.len())
            .map_err(|_| wrong("content", "a payload has 65,535 bytes at most"))?,
    };
    let mut packet = Vec::new();
    packet.extend(described.sender_id.to_le_bytes());
    packet.extend(described.recipient_id.to_le_bytes());
    packet.extend(timestamp.bytes());
    packet.push(described.op);
    packet.extend(size.to_le_bytes());
    packet.extend(payload);
    let signature = match (&described.signature, &described.sign_with) {
        (Some(signature), _) => bytes("signature", signature)?,
        (None, Some(key)) => sign(key, &packet)?,
        (None, None) => vec![0; SIGNATURE_LEN],
    };
    packet.extend(signature);
    Ok(packet)
}

fn payload(described: &Description) -> Result<Vec<u8>, Failure> {
    let content = joined(&described.content)?;
    match &described.protection {
        None => Ok(content),
        Some(Protection::Oaep { key, label }) => {
            let key = public_key(key)?;
            let key = provider().public_key(&key).map_err(|_| wrong("oaep.key", "refused"))?;
            let sealed = key.oaep_seal(&mut rng(), label.as_bytes(), &content);
            let too_long = |_| wrong("content", "a block takes 190 bytes at most");
            Ok(sealed.map_err(too_long)?.to_vec())
        }
        Some(Protection::Cbc { key, iv }) => cbc(key, iv.as_deref(), &content),
        Some(Protection::Sealed { session_key, iv, seq }) => {
            let content = [&seq.to_le_bytes()[..], &content].concat();
            cbc(session_key, iv.as_deref(), &content)
        }
    }
}

fn joined(parts: &[Part]) -> Result<Vec<u8>, Failure> {
    let mut joined = Vec::new();
    for part in parts {
        match part {
            Part::U8(value) => joined.push(*value),
            Part::U16(value) => joined.extend(value.to_le_bytes()),
            Part::U32(value) => joined.extend(value.to_le_bytes()),
            Part::Hex(text) => joined.extend(bytes("hex", text)?),
            Part::Text(text) => joined.extend(text.bytes()),
            Part::Phone(text) => {
                let len = u8::try_from(text.len()).map_err(|_| wrong("phone", "too long"))?;
                joined.push(len);
                joined.extend(text.bytes());
            }
            Part::Spki(path) => joined.extend(public_key(path)?.as_bytes()),
            Part::SpkiDigest(path) => {
                joined.extend(provider().sha256(&[public_key(path)?.as_bytes()]).0);
            }
        }
    }
    Ok(joined)
}

fn cbc(key: &str, iv: Option<&str>, content: &[u8]) -> Result<Vec<u8>, Failure> {
    let key: [u8; KEY_LEN] =
        bytes("key", key)?.try_into().map_err(|_| wrong("key", "a key has 32 bytes"))?;
    let iv: [u8; BLOCK_LEN] = match iv {
        Some(iv) => bytes("iv", iv)?.try_into().map_err(|_| wrong("iv", "an IV has 16 bytes"))?,
        None => {
            let mut iv = [0; BLOCK_LEN];
            rand_core::Rng::fill_bytes(&mut rng(), &mut iv);
            iv
        }
    };
    let mut buffer = [content, &[0; BLOCK_LEN]].concat();
    let len = provider()
        .cbc_encrypt(&key, &iv, &mut buffer, content.len())
        .map_err(|_| wrong("content", "cannot be encrypted"))?;
    Ok([&iv, &buffer[..len]].concat())
}

fn sign(path: &Path, packet: &[u8]) -> Result<Vec<u8>, Failure> {
    let key = load_key(&pem(path, "PRIVATE KEY")?).map_err(|error| unusable(path, error))?;
    let digest = provider().sha256(&[packet]);
    Ok(key.sign(&mut rng(), &digest).map_err(|error| unusable(path, error))?.to_vec())
}

/// The public key in a file; that of a private key is in there too.
fn public_key(path: &Path) -> Result<Spki, Failure> {
    match pem(path, "PRIVATE KEY") {
        Ok(der) => Ok(load_key(&der).map_err(|error| unusable(path, error))?.spki().clone()),
        Err(_) => Ok(read_server_key(path)?),
    }
}

fn pem(path: &Path, expected: &str) -> Result<Vec<u8>, Failure> {
    let text = read_file(path)?;
    let (label, der) = pem_rfc7468::decode_vec(text.as_bytes())
        .map_err(|error| unusable(path, format!("it is not PEM: {error}")))?;
    if label == expected { Ok(der) } else { Err(unusable(path, format!("it holds a {label}"))) }
}

fn unusable(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::Config(format!("{} is not a key that can be used here: {why}", path.display()))
}

fn bytes(name: &str, text: &str) -> Result<Vec<u8>, Failure> {
    let text: String = text.split_whitespace().collect();
    unhex(&text).ok_or_else(|| wrong(name, "not hexadecimal"))
}

fn wrong(name: &str, what: &str) -> Failure {
    Failure::Config(format!("{name}: {what}"))
}
