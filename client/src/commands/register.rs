//! `waxwing register`: from a phone number to an account, and back to it when the server has moved,
//! has another key, or has lost the account. It can be run again at any point and goes on where it
//! was. What this home believes about its server changes only when the server has answered, signed
//! with its key.

mod trust;

use waxwing_core::client::Ended;
use waxwing_core::crypto::{PrivateKey, ReplyKey, Spki};
use waxwing_core::id::UserId;
use waxwing_core::messenger::Cause;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::wire::{ErrorCode, OtpGrant};

use super::ask::YES;
use super::{Console, Place, host};
use crate::args::Register;
use crate::backend::{generate_key, key_der, rng};
use crate::clock;
use crate::exit::Failure;
use crate::home::{Home, HomeError, Identity, NewIdentity, Registration, Standing};
use crate::keys::read_server_key;
use crate::session::{Account, Asked, Known, Registrar, SessionError};

pub(super) fn run(
    place: &Place<'_>,
    register: &Register,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    get_or_find(place, register, console).map_err(|failure| match failure {
        Failure::Storage(error) => Failure::Storage(error.of_account(&place.dir)),
        failure => failure,
    })
}

/// Makes an account, or returns to the one that there is.
fn get_or_find(
    place: &Place<'_>,
    register: &Register,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let server_key = read_server_key(&register.server_key)?;
    trust::check_named(register, &server_key)?;
    let phone = number(place, register, console)?;
    let home = Home::create(&place.dir)?;
    let Some(mut lock) = home.try_lock_session()? else {
        let pid = home.session_holder().map(|holder| holder.pid);
        return Err(HomeError::InUse { dir: place.dir.clone(), pid }.into());
    };
    // Whoever registers here wants the account here.
    lock.set_taken_over(false);
    let stored = match home.standing(&phone, &server_key)? {
        Standing::Registered(identity) | Standing::Resumable(identity) => identity,
        Standing::OtherServerKey(identity) => {
            trust::ask_about_server_key(&identity.server_key, &server_key, register, console)?;
            identity
        }
        Standing::Occupied(identity) => {
            return Err(Failure::General(format!(
                "this home belongs to {}; name another with --home",
                identity.phone.as_str()
            )));
        }
        Standing::Vacant => {
            keep_code(&home, &phone, register, console)?;
            begin(&home, phone, register, &server_key)?;
            reload(&home)?
        }
    };
    let servers = register.server.clone().unwrap_or_else(|| stored.servers.clone());
    let moved = stored.servers != servers || stored.server_key != server_key;
    let account = Account::new(Identity { servers, server_key, ..stored })?;
    let desired = Desired { home: &home, moved };
    match account.user_id() {
        None => get_account(&desired, &account, register, console),
        Some(user) => return_to_account(&desired, &account, user, register, console),
    }
}

/// The phone to register. A number that was not typed as it is used is shown.
fn number(
    place: &Place<'_>,
    register: &Register,
    console: &mut Console<'_>,
) -> Result<Phone, Failure> {
    let number = register.phone.number(place.country)?;
    let phone = number.ok_or_else(|| Failure::Usage("this is no phone number".into()))?;
    place.show_number(&register.phone, &phone, console)?;
    Ok(phone)
}

/// The server that the person wants, which the home believes in once it has answered.
struct Desired<'a> {
    home: &'a Home,
    moved: bool,
}

impl Desired<'_> {
    /// The server has given a signed answer.
    fn has_answered(&self, account: &Account) -> Result<(), HomeError> {
        if self.moved {
            let identity = account.identity();
            self.home.trust_server(&identity.servers, &identity.server_key)?;
        }
        Ok(())
    }
}

/// A code that was sent for another number, or by another server, and is good yet, is not given up because a
/// number was mistyped, or another file named.
fn keep_code(
    home: &Home,
    phone: &Phone,
    register: &Register,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let Some(other) = home.identity()? else { return Ok(()) };
    let Registration::CodeIssued { expires_at } = other.registration else { return Ok(()) };
    let left = expires_at.minus(clock::now());
    if left <= 0 {
        return Ok(());
    }
    let is_same = other.phone == *phone;
    let (other, phone, file) =
        (other.phone.as_str(), phone.as_str(), register.server_key.display());
    let good = format!("a code was sent to {other} from this home, and is good for {left} s yet");
    if register.otp.is_some() {
        let but = if is_same {
            format!("not by the server whose key is in {file}. Is the file right?")
        } else {
            format!("none was sent to {phone}. Is the number right?")
        };
        return Err(Failure::Otp(format!(
            "nothing was done: {good}, but {but} Run `waxwing register` with the number and the key of the \
             server with which the code was asked for"
        )));
    }
    if console.interactive {
        let question = format!(
            "{good}. To register {phone} with the key in {file} gives it up. Go on? [y/N] "
        );
        if !console.is_answered_by(&YES, &question)? {
            return Err(Failure::General(format!(
                "nothing was done; run `waxwing register` as before with {other} and --otp CODE, or name \
                 another home with --home"
            )));
        }
    } else {
        writeln!(console.remarks, "the code that was sent to {other} is given up")?;
    }
    Ok(())
}

fn begin(home: &Home, phone: Phone, register: &Register, server_key: &Spki) -> Result<(), Failure> {
    let failed = |_| Failure::General("a key could not be made".into());
    let key = generate_key().map_err(failed)?;
    let der = key_der(&key).map_err(failed)?;
    let servers = register.server.clone().unwrap_or_default();
    home.store_identity(&NewIdentity {
        phone,
        servers: &servers,
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

/// For a home that has an account: the server says whether it knows it.
fn return_to_account(
    desired: &Desired<'_>,
    account: &Account,
    user: UserId,
    register: &Register,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let home = desired.home;
    let known = Registrar::new(account, host::with(&console.remarks))?.ask_whether_known(user)?;
    desired.has_answered(account)?;
    let (phone, servers) = (account.identity().phone, &account.identity().servers);
    if desired.moved {
        writeln!(console.remarks, "from now on the server is at {servers}")?;
    }
    match known {
        Known::Yes => {
            home.end_renewal()?;
            writeln!(console.remarks, "the server knows this account already")?;
            writeln!(console.output, "registered {} as {user}", phone.as_str())?;
            Ok(())
        }
        Known::No => {
            writeln!(
                console.remarks,
                "the server at {servers} does not know {} with this home's key any more; \
                 registering again under the same key. Contacts and history stay",
                phone.as_str()
            )?;
            home.begin_renewal(&ReplyKey::generate(&mut rng()))?;
            let account = Account::new(reload(home)?)?;
            get_account(&Desired { home, moved: false }, &account, register, console)
        }
    }
}

/// Asks for a code, and sends it back.
fn get_account(
    desired: &Desired<'_>,
    account: &Account,
    register: &Register,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut registrar = Registrar::new(account, host::with(&console.remarks))?;
    let identity = account.identity();
    let has_account = identity.user_id().is_some();
    let mut attempt = Attempt { desired, account, register, registrar: &mut registrar };
    if let Some(code) = &register.otp {
        return attempt.finish(code, console);
    }
    let asked = attempt.registrar.ask_for_code().map_err(|error| match error {
        SessionError::Over(Cause::Ended(ended)) => attempt.explain(ended),
        other => other.into(),
    });
    match asked? {
        Asked::Issued(grant) => {
            desired.has_answered(account)?;
            if !has_account {
                let expires_at = clock::now().shifted(grant.ttl_s.into());
                desired.home.set_registration(Registration::CodeIssued { expires_at })?;
            }
            attempt.finish_with_typed_code(grant, console)
        }
        // The account may be ours, and the answer that said so was lost: for its own key the server
        // looks at no code.
        Asked::PhoneTaken
            if identity.is_renewing || identity.registration == Registration::Proving =>
        {
            desired.has_answered(account)?;
            match attempt.prove(&no_code()?)? {
                Ok(()) => attempt.say_registered(console),
                Err(ended) if is_refused(&ended, ErrorCode::OtpExpired) => {
                    Err(trust::phone_taken(&account.identity().phone))
                }
                Err(ended) => Err(attempt.explain(ended)),
            }
        }
        Asked::PhoneTaken => Err(trust::phone_taken(&account.identity().phone)),
    }
}

/// What goes on once there is a code.
struct Attempt<'d, 'r, 'a> {
    desired: &'d Desired<'d>,
    account: &'a Account,
    register: &'d Register,
    registrar: &'r mut Registrar<'a>,
}

impl Attempt<'_, '_, '_> {
    fn finish(&mut self, code: &Otp, console: &mut Console<'_>) -> Result<(), Failure> {
        match self.prove(code)? {
            Ok(()) => self.say_registered(console),
            Err(ended) => Err(self.explain(ended)),
        }
    }

    fn explain(&self, ended: Ended) -> Failure {
        let identity = self.account.identity();
        match ended {
            // Nothing is trusted yet.
            Ended::BadBytes if identity.user_id().is_none() => {
                trust::other_servers_key(self.register, &identity.servers)
            }
            ended => explain_pause(ended.into()),
        }
    }

    /// Asks for the code, and again when it was wrong, as long as the code lives.
    fn finish_with_typed_code(
        &mut self,
        grant: OtpGrant,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        if let Some(code) = grant.otp {
            let remark = "the server sent the code in band; the phone is not verified";
            writeln!(console.remarks, "{remark}")?;
            return self.finish(&code, console);
        }
        let mut attempts = grant.attempts;
        let mut question = format!(
            "code sent to the phone, good for {} s and {attempts} attempts. The code: ",
            grant.ttl_s
        );
        loop {
            let code = console.code(&question)?;
            attempts = attempts.saturating_sub(1);
            match self.prove(&code)? {
                Ok(()) => return self.say_registered(console),
                Err(ended) if attempts > 0 && is_refused(&ended, ErrorCode::OtpWrong) => {
                    question = format!("the code is wrong; attempts left: {attempts}. The code: ");
                }
                Err(ended) => return Err(self.explain(ended)),
            }
        }
    }

    /// Sends the code, and stores what comes of it.
    fn prove(&mut self, code: &Otp) -> Result<Result<(), Ended>, Failure> {
        let home = self.desired.home;
        let is_renewing = self.account.identity().is_renewing;
        if !is_renewing {
            home.set_registration(Registration::Proving)?;
        }
        let (desired, account) = (self.desired, self.account);
        let proved = self.registrar.prove(code, |user| {
            desired.has_answered(account)?;
            if is_renewing {
                home.renew(user)?;
            } else {
                home.set_registration(Registration::Done(user))?;
            }
            Ok(())
        })?;
        match proved {
            Ok(session_key) => {
                home.set_session_key(Some(&session_key))?;
                Ok(Ok(()))
            }
            Err(ended) => {
                if is_refused(&ended, ErrorCode::OtpWrong) && !is_renewing {
                    home.set_registration(Registration::Begun)?;
                }
                // The next attempt needs a new name to get a new code.
                if is_refused(&ended, ErrorCode::OtpExpired)
                    || is_refused(&ended, ErrorCode::OtpAttemptsSpent)
                {
                    home.renew_attempt(&ReplyKey::generate(&mut rng()))?;
                }
                Ok(Err(ended))
            }
        }
    }

    fn say_registered(&self, console: &mut Console<'_>) -> Result<(), Failure> {
        let identity = reload(self.desired.home)?;
        if let Some(user) = identity.user_id() {
            writeln!(console.output, "registered {} as {user}", identity.phone.as_str())?;
        }
        Ok(())
    }
}

fn is_refused(ended: &Ended, code: ErrorCode) -> bool {
    matches!(ended, Ended::Refused(refusal) if refusal.code == Some(code))
}

fn no_code() -> Result<Otp, Failure> {
    Otp::parse(b"000000").map_err(|_| Failure::General("no code".into()))
}

/// Whoever registers meets limits that others in the same network may have used up.
fn explain_pause(failure: Failure) -> Failure {
    match failure {
        Failure::RateLimited { retry_after_s, .. } => Failure::RateLimited {
            why: format!(
                "the server sends only so many codes to a phone in a day, and lets only so many \
                 register, or guess codes, from one network in an hour: others who share your \
                 network count too, and the server's operator can raise the limit; try again in \
                 {retry_after_s} s"
            ),
            retry_after_s,
        },
        failure => failure,
    }
}
