//! Whether to believe in a server's key, and in a phone that is taken.

use waxwing_core::crypto::{Provider, Spki};
use waxwing_core::phone::Phone;

use crate::args::Register;
use crate::backend::provider;
use crate::commands::{Console, grouped_hex};
use crate::exit::Failure;
use crate::servers::Servers;

/// A fingerprint on the command line has to be that of the file: nothing else was decided for.
pub(super) fn check_named(register: &Register, server_key: &Spki) -> Result<(), Failure> {
    let Some(named) = &register.accept_server_key else { return Ok(()) };
    if *named == plain(&fingerprint(server_key)) {
        return Ok(());
    }
    Err(Failure::Untrusted(format!(
        "{} holds another key than the one that --accept-server-key names; its fingerprint is {}",
        register.server_key.display(),
        fingerprint(server_key)
    )))
}

/// The person has to decide for another server key, by its fingerprint.
pub(super) fn ask_about_server_key(
    trusted: &Spki,
    offered: &Spki,
    register: &Register,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if register.accept_server_key.is_some() {
        return Ok(());
    }
    let file = register.server_key.display();
    writeln!(
        console.remarks,
        "the server's key in {file} is another than the one that this home trusts.\n  \
         trusted so far  {}\n  in that file    {}\n\
         A server that lost its key, or whose key was stolen, has a new one; a false key is how \
         somebody poses as the server. Ask the operator, over the phone or in person, for what \
         `waxwing-server key fingerprint` says.",
        fingerprint(trusted),
        fingerprint(offered)
    )?;
    if console.interactive
        && console.is_answered_by(&["yes", "Yes", "YES"], "trust the new key? Type yes: ")?
    {
        return Ok(());
    }
    Err(Failure::Untrusted(format!(
        "nothing was changed; if that is the server's new key, run this again with \
         --accept-server-key {}",
        plain(&fingerprint(offered))
    )))
}

/// Nothing is trusted yet, so it is the file, or the address, that is wrong.
pub(super) fn other_servers_key(register: &Register, servers: &Servers) -> Failure {
    Failure::Untrusted(format!(
        "the server at {servers} has another key than the one in {}: the file is of another server, or is too old, or \
         the address is wrong. Nobody is registered; get server.pub.pem from the operator of that server, and run \
         this again",
        register.server_key.display()
    ))
}

pub(super) fn phone_taken(phone: &Phone) -> Failure {
    Failure::Refused(format!(
        "{0} has an account already, with another key: somebody registered {0} from another home. \
         If that was you, use that home (--home DIR); if it is lost, or it was not you, ask the \
         server's operator to remove the account (`waxwing-server users remove --yes {0}`), and run this \
         again",
        phone.as_str()
    ))
}

/// As `whoami` and the server's operator have it.
fn fingerprint(key: &Spki) -> String {
    grouped_hex(&provider().sha256(&[key.as_bytes()]).0)
}

fn plain(fingerprint: &str) -> String {
    fingerprint.split_whitespace().collect()
}
