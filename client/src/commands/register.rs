//! `waxwing register`: from a phone number to an account. It can be run again at any point and
//! goes on where it was.

use std::path::Path;

use waxwing_core::client::Ended;
use waxwing_core::crypto::{PrivateKey, ReplyKey};
use waxwing_core::phone::Otp;
use waxwing_core::wire::{ErrorCode, OtpGrant};
use zeroize::Zeroizing;

use super::Console;
use crate::args::Register;
use crate::backend::{generate_key, key_der, rng};
use crate::clock;
use crate::courier::{Account, Asked, Registrar};
use crate::exit::Failure;
use crate::home::{Home, Identity, NewIdentity, Registration, Standing};
use crate::keys::read_server_key;

pub(super) fn run(
    dir: &Path,
    register: &Register,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let server_key = read_server_key(&register.server_key)?;
    let home = Home::create(dir)?;
    let Some(_lock) = home.try_lock_session()? else {
        return Err(Failure::General("another waxwing is at work in this home".into()));
    };
    let identity = match home.standing(&register.phone, &server_key)? {
        Standing::Registered(identity) => {
            if identity.server != register.server {
                home.set_server(&register.server)?;
                writeln!(console.remarks, "from now on the server is at {}", register.server)?;
            }
            return already(&identity, console);
        }
        Standing::Occupied(identity) => {
            return Err(Failure::General(format!(
                "this home belongs to {}; name another with --home",
                identity.phone.as_str()
            )));
        }
        Standing::Resumable(identity) => {
            if identity.server != register.server {
                home.set_server(&register.server)?;
            }
            reload(&home)?
        }
        Standing::Vacant => {
            begin(&home, register, &server_key)?;
            reload(&home)?
        }
    };
    let before = identity.registration;
    let account = Account::new(identity)?;
    let mut registrar = Registrar::new(&account, &console.remarks)?;
    let code = match &register.otp {
        Some(code) => code.clone(),
        None => match registrar.ask_for_code()? {
            Asked::Issued(grant) => {
                let expires_at = clock::now().shifted(grant.ttl_s.into());
                home.set_registration(Registration::CodeIssued { expires_at })?;
                code_from(grant, console)?
            }
            // The account may be ours, and the answer that said so was lost: for its own key the
            // server looks at no code.
            Asked::PhoneTaken if before == Registration::Proving => no_code()?,
            Asked::PhoneTaken => {
                return Err(Failure::Refused(format!(
                    "{} has an account already, with another key",
                    register.phone.as_str()
                )));
            }
        },
    };
    prove(&home, &account, &mut registrar, &code, console)
}

fn begin(
    home: &Home,
    register: &Register,
    server_key: &waxwing_core::crypto::Spki,
) -> Result<(), Failure> {
    let failed = |_| Failure::General("a key could not be made".into());
    let key = generate_key().map_err(failed)?;
    let der = key_der(&key).map_err(failed)?;
    home.store_identity(&NewIdentity {
        phone: register.phone,
        server: &register.server,
        server_key,
        private_key: &der,
        public_key: key.spki(),
        reply_key: &ReplyKey::generate(&mut rng()),
    })?;
    Ok(())
}

fn reload(home: &Home) -> Result<Identity, Failure> {
    home.identity()?.ok_or_else(Failure::not_registered)
}

fn already(identity: &Identity, console: &mut Console<'_>) -> Result<(), Failure> {
    let phone = identity.phone.as_str();
    writeln!(console.remarks, "{phone} is registered here already")?;
    if let Some(user) = identity.user_id() {
        writeln!(console.output, "registered {phone} as {user}")?;
    }
    Ok(())
}

fn code_from(grant: OtpGrant, console: &mut Console<'_>) -> Result<Otp, Failure> {
    if let Some(code) = grant.otp {
        writeln!(console.remarks, "the server sent the code in band; the phone is not verified")?;
        return Ok(code);
    }
    write!(console.remarks, "code sent to the phone, good for {} s: ", grant.ttl_s)?;
    console.remarks.flush()?;
    let mut line = Zeroizing::new(String::new());
    console.input.read_line(&mut line)?;
    Otp::parse(line.trim().as_bytes()).map_err(|_| {
        Failure::Otp("six digits are needed; run `waxwing register` again with --otp CODE".into())
    })
}

fn no_code() -> Result<Otp, Failure> {
    Otp::parse(b"000000").map_err(|_| Failure::General("no code".into()))
}

fn prove(
    home: &Home,
    account: &Account,
    registrar: &mut Registrar<'_>,
    code: &Otp,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    home.set_registration(Registration::Proving)?;
    let proved =
        registrar.prove(code, |user| Ok(home.set_registration(Registration::Done(user))?))?;
    match proved {
        Ok(session_key) => {
            home.set_session_key(Some(&session_key))?;
            let identity = reload(home)?;
            let phone = account.identity().phone.as_str();
            if let Some(user) = identity.user_id() {
                writeln!(console.output, "registered {phone} as {user}")?;
            }
            Ok(())
        }
        Err(ended) => {
            if let Ended::Refused(refusal) = &ended {
                match refusal.code {
                    Some(ErrorCode::OtpWrong) => home.set_registration(Registration::Begun)?,
                    // The next attempt needs a new name to get a new code.
                    Some(ErrorCode::OtpExpired | ErrorCode::OtpAttemptsSpent) => {
                        home.renew_attempt(&ReplyKey::generate(&mut rng()))?;
                    }
                    _ => {}
                }
            }
            Err(crate::courier::failure(&ended))
        }
    }
}
