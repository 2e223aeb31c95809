//! `waxwing whoami`.

use waxwing_core::crypto::Provider;
use waxwing_core::envelope::Fingerprint;

use super::{Console, Place, grouped_hex};
use crate::backend::provider;
use crate::clock;
use crate::exit::Failure;
use crate::home::Registration;

pub(super) fn run(place: &Place<'_>, console: &mut Console<'_>) -> Result<(), Failure> {
    let (_, identity) = place.open_to_read()?;
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
    let own = Fingerprint::of(&provider(), &identity.phone, &identity.public_key);
    let server_key = provider().sha256(&[identity.server_key.as_bytes()]);
    let output = &mut console.output;
    writeln!(output, "phone        {phone}")?;
    writeln!(output, "id           {id}")?;
    writeln!(output, "fingerprint  {}", grouped_hex(&own.0))?;
    writeln!(output, "server       {}", identity.server)?;
    writeln!(output, "server key   {}", grouped_hex(&server_key.0))?;
    Ok(())
}
