//! Bytes that must stay where they are, and the search for them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::test_server::{Person, TestServer};

/// Bytes that must stay where they are, under a name for the failure.
pub(crate) struct Secret {
    pub(crate) name: String,
    bytes: Vec<u8>,
}

impl Secret {
    pub(crate) fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    /// Pieces of the secret part of a private key in PKCS#8, behind its modulus.
    pub(crate) fn of_private_key(whose: &str, der: &[u8]) -> Vec<Self> {
        let pieces = der[320..].chunks_exact(24);
        pieces.map(|piece| Self::new(format!("private key of {whose}"), piece)).collect()
    }

    /// The ways in which a careless program writes bytes.
    fn spellings(&self) -> [Vec<u8>; 4] {
        let hex: String = self.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{:?}", self.bytes);
        [
            self.bytes.clone(),
            hex.to_uppercase().into(),
            hex.into(),
            list.trim_matches(['[', ']']).into(),
        ]
    }
}

/// The first of `secrets` that is spelt out in `place`. One pass for all of them.
pub(crate) fn find<'s>(secrets: &'s [Secret], place: &[u8]) -> Option<&'s Secret> {
    let mut by_beginning: HashMap<[u8; 6], Vec<(Vec<u8>, &Secret)>> = HashMap::new();
    for secret in secrets {
        for spelling in secret.spellings() {
            let beginning = *spelling.first_chunk().unwrap();
            by_beginning.entry(beginning).or_default().push((spelling, secret));
        }
    }
    place.windows(6).enumerate().find_map(|(at, beginning)| {
        let candidates = by_beginning.get(beginning)?;
        let spelt = |(spelling, _): &&(Vec<u8>, _)| place[at..].starts_with(spelling);
        candidates.iter().find(spelt).map(|(_, secret)| *secret)
    })
}

#[track_caller]
pub(crate) fn assert_absent(secrets: &[Secret], place: &str, content: &[u8]) {
    assert!(!content.is_empty(), "{place}");
    let found = find(secrets, content).map(|secret| &secret.name);
    assert_eq!(found, None, "in {place}");
}

/// What a home keeps for itself.
pub(crate) fn secrets_of(person: &Person) -> Vec<Secret> {
    let database = person.database();
    let keys = "SELECT private_key, reply_key, session_key FROM identity";
    let (private, reply, session): (Vec<u8>, Vec<u8>, Option<Vec<u8>>) =
        database.query_one(keys, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let mut secrets = Secret::of_private_key(&person.phone, &private);
    secrets.push(Secret::new("reply key", reply));
    secrets.extend(session.map(|key| Secret::new("session key", key)));
    secrets
}

/// Every file of the server but its private key.
pub(crate) fn server_files(server: &TestServer) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(server.data()).unwrap() {
        let entry = entry.unwrap();
        let (path, is_file) = (entry.path(), entry.file_type().unwrap().is_file());
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // The control socket holds nothing.
        if is_file && name != "server.key.pem" {
            files.push((name, fs::read(path).unwrap()));
        }
    }
    files.retain(|(_, content)| !content.is_empty());
    files
}

/// The log without its times, whose digits could be anything.
pub(crate) fn log_without_times(server: &TestServer) -> Vec<u8> {
    let mut kept = String::new();
    for line in server.log().lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("timestamp").unwrap();
        kept.push_str(&line.to_string());
        kept.push('\n');
    }
    kept.into()
}

pub(crate) fn pem_body(path: &Path) -> Vec<Secret> {
    let pem = fs::read_to_string(path).unwrap();
    let (_, der) = pem_rfc7468::decode_vec(pem.as_bytes()).unwrap();
    let lines = pem.lines().skip(7).filter(|line| line.len() == 64);
    let lines = lines.map(|line| Secret::new("server's private key in PEM", line));
    Secret::of_private_key("the server", &der).into_iter().chain(lines).collect()
}
