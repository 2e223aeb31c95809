//! The server's public key, as a file from its operator: PEM, SubjectPublicKeyInfo.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use waxwing_core::crypto::{KeyError, Spki};

use crate::system;

/// The label of PEM that is read.
const LABEL: &str = "PUBLIC KEY";
/// A key in PEM has 451 bytes; this leaves room for other line breaks and a comment before it.
const LONGEST: u64 = 4096;

/// A file with the server's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error(
        "the public key in {} cannot be read: {}. If you have none, ask the server's operator \
         for server.pub.pem",
        .path.display(), system::of_file(.source)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else, possibly something that should have stayed at the server.
    #[error(
        "{} holds a {label}, not a public key; ask the server's operator for server.pub.pem{}",
        .path.display(),
        if .label.contains("PRIVATE") { ", and tell them that their private key got about" } else { "" }
    )]
    OtherLabel {
        /// The file.
        path: PathBuf,
        /// What it says to hold.
        label: String,
    },
    /// It is not PEM.
    #[error(
        "{} is not a key in PEM; ask the server's operator for server.pub.pem, or convert a key in DER \
         with `openssl pkey -pubin -inform DER`",
        .path.display()
    )]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// The key is of another kind, or unsafe.
    #[error(
        "the key in {} is refused: {source}; ask the server's operator for server.pub.pem",
        .path.display()
    )]
    NotAcceptable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
}

/// Reads the server's public key.
///
/// # Errors
/// [`KeyFileError`], which says what is wrong with the file.
pub fn read_server_key(path: &Path) -> Result<Spki, KeyFileError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let pem =
        read().map_err(|source| KeyFileError::Unreadable { path: path.to_owned(), source })?;
    let not_pem = || KeyFileError::NotPem { path: path.to_owned() };
    if pem.len() as u64 > LONGEST {
        return Err(not_pem());
    }
    let (label, der) = pem_rfc7468::decode_vec(&pem).map_err(|_| not_pem())?;
    let other_label =
        || KeyFileError::OtherLabel { path: path.to_owned(), label: label.to_owned() };
    // What is called an RSA PUBLIC KEY is in PKCS#1, and is told so by what it holds.
    if !label.ends_with(LABEL) {
        return Err(other_label());
    }
    let spki = acceptable(&der)
        .map_err(|source| KeyFileError::NotAcceptable { path: path.to_owned(), source })?;
    if label == LABEL { Ok(spki) } else { Err(other_label()) }
}

fn acceptable(der: &[u8]) -> Result<Spki, KeyError> {
    let spki = Spki::parse(der).map_err(|_| KeyError::of_public(der))?;
    if spki.has_small_factor() { Err(KeyError::SmallFactor) } else { Ok(spki) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::load_key;
    use pem_rfc7468::{LineEnding, encode_string};
    use waxwing_core::crypto::PrivateKey;
    use waxwing_core::testing::keys::pkcs8_der;

    fn read(content: &str) -> Result<Spki, KeyFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        read_server_key(file.path())
    }

    #[track_caller]
    fn assert_refused(pem: &str, why: KeyError) {
        let error = read(pem).unwrap_err();
        assert!(
            matches!(error, KeyFileError::NotAcceptable { source, .. } if source == why),
            "{error}"
        );
    }

    fn spki() -> Spki {
        load_key(pkcs8_der(0)).unwrap().spki().clone()
    }

    #[test]
    fn reads_what_a_server_writes() {
        for ending in [LineEnding::LF, LineEnding::CRLF] {
            let pem = encode_string(LABEL, ending, spki().as_bytes()).unwrap();
            assert_eq!(read(&pem).unwrap(), spki());
        }
    }

    #[test]
    fn refuses_everything_else_and_says_why() {
        let private = encode_string("PRIVATE KEY", LineEnding::LF, pkcs8_der(0)).unwrap();
        let error = read(&private).unwrap_err();
        assert!(matches!(error, KeyFileError::OtherLabel { .. }));
        assert!(error.to_string().contains("got about"), "{error}");

        let short = encode_string(LABEL, LineEnding::LF, &spki().as_bytes()[..293]).unwrap();
        assert_refused(&short, KeyError::CutShort);
        let pkcs1 = encode_string("RSA PUBLIC KEY", LineEnding::LF, &spki().as_bytes()[24..]);
        assert_refused(&pkcs1.unwrap(), KeyError::Pkcs1);
        let labelled = encode_string("RSA PUBLIC KEY", LineEnding::LF, spki().as_bytes()).unwrap();
        assert!(matches!(read(&labelled), Err(KeyFileError::OtherLabel { .. })));
        for text in ["", "hello", &"-".repeat(5000)] {
            assert!(matches!(read(text), Err(KeyFileError::NotPem { .. })), "{text}");
        }
        let nowhere = read_server_key(Path::new("/nowhere/server.pub.pem"));
        assert!(matches!(nowhere, Err(KeyFileError::Unreadable { .. })));
    }

    #[test]
    fn refuses_a_modulus_with_a_small_factor() {
        // 3 divides a number whose bytes add up to a multiple of 3.
        let mut modulus = [0xff; 256];
        modulus[0] = 0xfc;
        let spki = Spki::from_modulus(&modulus).unwrap();
        let pem = encode_string(LABEL, LineEnding::LF, spki.as_bytes()).unwrap();
        assert_refused(&pem, KeyError::SmallFactor);
    }
}
