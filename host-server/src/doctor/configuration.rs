//! The configuration: whether the server could be started with it again, and what the one that runs makes of it.

use super::{Finding, Place, Verdict, another_user};
use crate::admin::commands::reload::NotReloaded;
use crate::admin::commands::status::Status;
use crate::config::Config;
use crate::exit::Failure;
use crate::runtime;

pub(super) fn look(place: &Place<'_>) -> Finding {
    let (config, running) = (place.config, place.status());
    if let Some((moment, why)) = running.and_then(Status::not_read_again) {
        return not_read_again(moment, why);
    }
    // One that stands by reads it when it serves.
    let not_reloaded = match place.not_reloaded().filter(|_| running.is_some_and(Status::serves)) {
        Some(Err(failure)) => return cannot_be_read_again(&failure.to_string()),
        Some(Ok(not_reloaded)) => not_reloaded,
        None => NotReloaded::default(),
    };
    // Whether files can be used is asked for the user who starts the server.
    let another = another_user(config);
    let (refused, directory) = match &another {
        Some(_) => (None, None),
        None => (can_start(config).err(), config.check_directories().err()),
    };
    let waiting = running.map_or(&[][..], |running| running.waiting_settings());
    let remark = directory.map(|why| (why.to_string(), WITHOUT_IT));
    let remark = remark.or_else(|| {
        Some((
            config.registration.remark()?,
            "if a server runs, it needs `waxwing-server reload` then",
        ))
    });
    let found = judge(refused, remark, (&not_reloaded, waiting));
    another.filter(|_| found.verdict == Verdict::Ok).unwrap_or(found)
}

fn can_start(config: &Config) -> Result<(), Failure> {
    config.check_serving()?;
    runtime::check_as_owner(config).map(drop)
}

fn not_read_again(moment: &str, why: &str) -> Finding {
    Finding::fail(
        format!(
            "the server that runs could not read it again {moment}, and goes on with the one before: {why}"
        ),
        "put it right, then run `waxwing-server reload`",
    )
}

fn cannot_be_read_again(why: &str) -> Finding {
    Finding::fail(
        format!("it has changed, and the server that runs could not read it again: {why}"),
        "put it right before the next reload or start, which would fail",
    )
}

/// What there is to do about a directory of backups or of the log that cannot be used.
const WITHOUT_IT: &str = "the server serves without it; mend it all the same";

/// With what would be wrong at a start, what is odd, and the settings of which the server that runs has other values: those that
/// it has not read yet, and those that wait for a restart.
fn judge(
    refused: Option<impl ToString>,
    odd: Option<(String, &str)>,
    (not_reloaded, waiting): (&NotReloaded, &[String]),
) -> Finding {
    if let Some(why) = refused {
        let help = "put it right before the server is started again: it would not start";
        return Finding::fail(why.to_string(), help);
    }
    let NotReloaded { live, restart } = not_reloaded;
    let unread: Vec<_> = live.iter().chain(restart).map(String::as_str).collect();
    if !unread.is_empty() {
        let help = match &restart[..] {
            [] => "if that is meant, run `waxwing-server reload`".to_owned(),
            restart => format!(
                "if that is meant, run `waxwing-server reload`; a restart has to follow for {}",
                restart.join(", ")
            ),
        };
        return Finding::warn(
            format!(
                "the server that runs has other values than the configuration, of: {}",
                unread.join(", ")
            ),
            help,
        );
    }
    if let Some((why, help)) = odd {
        return Finding::warn(why, help);
    }
    if !waiting.is_empty() {
        return Finding::warn(
            format!("these settings wait for a restart: {}", waiting.join(", ")),
            "restart the server when it suits people",
        );
    }
    Finding::ok("a server can start with it")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Fail, Ok, Warn};
    use super::*;

    #[test]
    fn what_would_keep_a_server_from_starting_comes_first() {
        let waiting = ["server.loops".to_owned()];
        let all_read = &NotReloaded::default();
        let unread = &NotReloaded { live: vec!["log.level".into()], ..NotReloaded::default() };
        let odd = || Some(("log.file: gone".to_owned(), WITHOUT_IT));
        for (refused, odd, server, verdict) in [
            (None, None, (all_read, &[][..]), Ok),
            (None, None, (all_read, &waiting[..]), Warn),
            (None, None, (unread, &[][..]), Warn),
            (None, odd(), (all_read, &waiting[..]), Warn),
            (Some("otp.exec.program: gone"), odd(), (unread, &waiting[..]), Fail),
        ] {
            let judged = judge(refused, odd, server);
            assert_eq!(judged.verdict, verdict, "{}", judged.found);
        }
    }

    #[test]
    fn what_is_wrong_on_this_disk_is_found_before_a_start() {
        let mut config = Config::default();
        config.server.data = "/a/directory/that/is/not/there".into();
        assert_eq!(look(&Place::new(&config)).verdict, Ok);
        let phones = tempfile::NamedTempFile::new().unwrap();
        config.registration.allow_file = phones.path().to_owned();
        let nobody = look(&Place::new(&config));
        assert_eq!(nobody.verdict, Warn);
        assert!(nobody.found.contains("nobody can register"), "{}", nobody.found);
        config.registration.allow_file = "/a/file/that/is/not/there".into();
        let found = look(&Place::new(&config));
        assert_eq!(found.verdict, Fail);
        assert!(found.found.contains("registration.allow_file"), "{}", found.found);
    }
}
