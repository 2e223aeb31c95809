//! `waxwing whoami`.

use serde::Serialize;
use waxwing_core::crypto::Provider;
use waxwing_core::envelope::Fingerprint;

use super::{Console, Place, grouped_hex, json_line};
use crate::backend::provider;
use crate::clock;
use crate::exit::Failure;
use crate::home::{Home, Identity, Registration};
use crate::keylog::hex;

#[derive(Serialize)]
struct Line<'a> {
    phone: &'a str,
    id: Option<u16>,
    /// Whether `register` has nothing left to do.
    registered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_expires_at: Option<String>,
    fingerprint: String,
    server: String,
    server_key: String,
}

impl<'a> Line<'a> {
    fn of(identity: &'a Identity) -> Self {
        let (id, code_expires_at) = match identity.registration {
            Registration::Done(user) => (Some(user.get()), None),
            Registration::CodeIssued { expires_at } => (None, Some(clock::rfc3339(expires_at))),
            Registration::Begun | Registration::Proving => (None, None),
        };
        Self {
            phone: identity.phone.as_str(),
            id,
            registered: id.is_some() && !identity.is_renewing,
            code_expires_at,
            fingerprint: hex(&fingerprint(identity).0),
            server: identity.servers.to_string(),
            server_key: hex(&provider().sha256(&[identity.server_key.as_bytes()]).0),
        }
    }
}

pub(super) fn run(place: &Place<'_>, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let home = Home::open_to_read(&place.dir)?;
    let identity = home.identity()?.ok_or_else(Failure::not_registered)?;
    if json {
        return json_line(&Line::of(&identity), console);
    }
    let phone = identity.phone.as_str();
    let again = "run `waxwing register` again";
    let id = match identity.registration {
        Registration::Done(user) if identity.is_renewing => {
            format!("{user}, which the server did not know; {again}")
        }
        Registration::Done(user) => user.to_string(),
        Registration::Begun => format!("none yet; {again}"),
        Registration::CodeIssued { expires_at } => format!(
            "none yet; {again} with the code, good until {}",
            clock::in_zone(expires_at, &console.zone)
        ),
        Registration::Proving => format!("not known yet; {again}, it goes on where it was"),
    };
    let own = fingerprint(&identity);
    let server_key = provider().sha256(&[identity.server_key.as_bytes()]);
    let output = &mut console.output;
    writeln!(output, "phone        {phone}")?;
    writeln!(output, "id           {id}")?;
    writeln!(output, "fingerprint  {}", grouped_hex(&own.0))?;
    writeln!(output, "server       {}", identity.servers)?;
    writeln!(output, "server key   {}", grouped_hex(&server_key.0))?;
    Ok(())
}

fn fingerprint(identity: &Identity) -> Fingerprint {
    Fingerprint::of(&provider(), &identity.phone, &identity.public_key)
}
