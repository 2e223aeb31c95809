//! The configuration: whether the server could be started with it again, and what the one that runs makes of it.

use super::{Finding, another_user};
use crate::admin::commands::status;
use crate::config::Config;
use crate::exit::Failure;
use crate::runtime;

pub(super) fn look(config: &Config) -> Finding {
    let running = status::look(config);
    if let Some(why) = running.as_ref().and_then(|running| running.not_read_again()) {
        return not_read_again(why);
    }
    // Whether files can be used is asked for the user who starts the server.
    if let Some(skipped) = another_user(config) {
        return skipped;
    }
    let waiting = running.as_ref().map_or(&[][..], |running| running.waiting_settings());
    judge(can_start(config).err(), config.check_directories().err(), waiting)
}

fn can_start(config: &Config) -> Result<(), Failure> {
    config.check_serving()?;
    runtime::check_as_owner(config).map(drop)
}

fn not_read_again(why: &str) -> Finding {
    Finding::fail(
        format!(
            "the server that runs could not read it again, and goes on with the one before: {why}"
        ),
        "put it right, then run `waxwing-server reload`",
    )
}

fn judge(
    refused: Option<impl ToString>,
    directory: Option<impl ToString>,
    waiting: &[String],
) -> Finding {
    if let Some(why) = refused {
        let help = "put it right before the server is started again: it would not start";
        return Finding::fail(why.to_string(), help);
    }
    if let Some(why) = directory {
        return Finding::warn(
            why.to_string(),
            "the server serves without it; mend it all the same",
        );
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
        for (refused, directory, waiting, verdict) in [
            (None, None, &[][..], Ok),
            (None, None, &waiting[..], Warn),
            (None, Some("log.file: gone"), &waiting[..], Warn),
            (Some("otp.exec.program: gone"), Some("log.file: gone"), &waiting[..], Fail),
        ] {
            let judged = judge(refused, directory, waiting);
            assert_eq!(judged.verdict, verdict, "{}", judged.found);
        }
    }

    #[test]
    fn what_is_wrong_on_this_disk_is_found_before_a_start() {
        let mut config = Config::default();
        config.server.data = "/a/directory/that/is/not/there".into();
        assert_eq!(look(&config).verdict, Ok);
        config.registration.allow_file = "/a/file/that/is/not/there".into();
        let found = look(&config);
        assert_eq!(found.verdict, Fail);
        assert!(found.found.contains("registration.allow_file"), "{}", found.found);
    }
}
