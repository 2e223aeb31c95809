//! SHA-256.
//!
//! The first four facts are the examples of FIPS 180 (NIST, "Examples with Intermediate
//! Values"); the others are lengths around the block of 64 bytes and its padding.

use super::{Failure, Suite, hex, same};
use crate::crypto::{Hasher, Provider};

pub(super) fn run<P: Provider>(provider: &P, suite: &mut Suite<'_>) {
    for known in &KNOWN {
        suite.case(known.name, one_part(provider, known));
    }
    suite.case("sha-256: a million a", million(provider));
    suite.case("sha-256: in parts of every size", parts(provider));
}

struct Known {
    name: &'static str,
    message: &'static [u8],
    digest: [u8; 32],
}

fn one_part<P: Provider>(provider: &P, known: &Known) -> Result<(), Failure> {
    same(&provider.sha256(&[known.message]).0, &known.digest)?;
    let mut hasher = provider.hasher();
    hasher.update(known.message);
    same(&hasher.finish().0, &known.digest)
}

fn million<P: Provider>(provider: &P) -> Result<(), Failure> {
    let mut hasher = provider.hasher();
    for _ in 0..1_000 {
        hasher.update(&[b'a'; 1_000]);
    }
    same(&hasher.finish().0, &MILLION)
}

fn parts<P: Provider>(provider: &P) -> Result<(), Failure> {
    let mut message = [0; 256];
    for (byte, value) in message.iter_mut().zip(0..=255) {
        *byte = value;
    }
    for cut in 0..=message.len() {
        let (front, back) = message.split_at(cut);
        same(&provider.sha256(&[front, back]).0, &COUNTING)?;
        same(&provider.sha256(&[front, &[], back, &[]]).0, &COUNTING)?;
    }
    same(&provider.sha256(&[]), &provider.sha256(&[&[]]))
}

static KNOWN: [Known; 8] = [
    Known {
        name: "sha-256: abc",
        message: b"abc",
        digest: hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    },
    Known {
        name: "sha-256: empty",
        message: b"",
        digest: hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    },
    Known {
        name: "sha-256: 56 bytes",
        message: b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        digest: hex("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
    },
    Known {
        name: "sha-256: 112 bytes",
        message: b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn\
                   hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
        digest: hex("cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"),
    },
    Known {
        name: "sha-256: 55 zeros",
        message: &[0; 55],
        digest: hex("02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"),
    },
    Known {
        name: "sha-256: 63 zeros",
        message: &[0; 63],
        digest: hex("c7723fa1e0127975e49e62e753db53924c1bd84b8ac1ac08df78d09270f3d971"),
    },
    Known {
        name: "sha-256: 64 zeros",
        message: &[0; 64],
        digest: hex("f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"),
    },
    Known {
        name: "sha-256: 65 zeros",
        message: &[0; 65],
        digest: hex("98ce42deef51d40269d542f5314bef2c7468d401ad5d85168bfab4c0108f75f7"),
    },
];

static MILLION: [u8; 32] = hex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");

/// Of the 256 bytes 00, 01, … ff.
static COUNTING: [u8; 32] = hex("40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880");
