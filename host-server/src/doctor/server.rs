//! The server itself: whether one runs, and how many connections it has room for.

use std::fs;
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::admin::commands::status;
use crate::admin::control::Connection;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::descriptors;

pub(super) fn look(config: &Config) -> Finding {
    let path = match config.server.control_socket() {
        Ok(Some(path)) => path,
        Ok(None) => return Finding::skipped("there is no place for a control socket"),
        Err(error) => return Finding::fail(error.to_string(), "name a shorter path"),
    };
    if access(&path, Access::WRITE_OK) == Err(Errno::ACCESS) {
        return Finding::skipped(format!(
            "this user may not use the control socket {}",
            path.display()
        ));
    }
    match Connection::open(&path) {
        Ok(Some(_)) => {
            let status = status::look(config);
            judge_running(&path, status.as_ref().and_then(|status| status.drained_by()))
        }
        Ok(None) => {
            let users = DataDir::existing(&config.server.data).map(|data| data.users());
            judge_silence(&path, &users.unwrap_or_default())
        }
        Err(failure) => {
            Finding::fail(failure.to_string(), "look at its log: journalctl -u waxwing")
        }
    }
}

fn judge_running(path: &Path, drained_by: Option<&str>) -> Finding {
    match drained_by {
        None => Finding::ok(format!("it runs, and answers at {}", path.display())),
        Some(stops) => Finding::warn(
            format!("it sends all sessions away, and stops then, at {stops} at the latest"),
            "`waxwing-server undrain` takes that back; when it has stopped: systemctl start waxwing",
        ),
    }
}

/// No server answers at the control socket; so many processes use the data directory.
fn judge_silence(path: &Path, users: &[String]) -> Finding {
    let path = path.display();
    if users.is_empty() {
        return Finding::warn(
            format!("none runs: nobody answers at {path}"),
            "start it: systemctl start waxwing; or give this command the --config or --data of the one that runs",
        );
    }
    Finding::warn(
        format!("nobody answers at {path}, but {} uses the data directory", users.join(", ")),
        "it may be about to start or to stop; if server.control was changed since it started, restart it",
    )
}

pub(super) fn open_files(config: &Config) -> Finding {
    let socket = config.server.control_socket().ok().flatten();
    let server = socket.and_then(|path| Connection::open(&path).ok()?);
    let granted = server.and_then(|connection| limit_of(connection.server()?));
    match granted {
        Some(granted) => judge_open_files("the server that runs", descriptors::places(granted)),
        None => {
            let granted = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
            let places = descriptors::places(granted);
            judge_open_files("a server that is started by whoever has started this command", places)
        }
    }
}

/// The limit of open files of a process, as the system tells everybody.
fn limit_of(process: i32) -> Option<u64> {
    parse_limit(&fs::read_to_string(format!("/proc/{process}/limits")).ok()?)
}

/// The one that counts: behind the name comes first what the process has, and then what it may ask for.
fn parse_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Fewer connections than this are few.
const FEW: usize = 10_000;

fn judge_open_files(whose: &str, places: usize) -> Finding {
    let found = format!("{whose} has room for {places} connections");
    if places >= FEW {
        return Finding::ok(found);
    }
    Finding::warn(
        found,
        "raise the limit of open files: LimitNOFILE in the unit, as in the one of the package, or ulimit -Hn",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_server_that_does_not_run_is_told_of() {
        let path = Path::new("/data/control.sock");
        let none = judge_silence(path, &[]);
        assert_eq!(
            (none.verdict, none.found.as_str()),
            (Verdict::Warn, "none runs: nobody answers at /data/control.sock")
        );
        let elsewhere = judge_silence(path, &["process 7 (waxwing-server)".into()]);
        assert!(elsewhere.found.contains("but process 7 (waxwing-server) uses the data directory"));
    }

    #[test]
    fn a_server_that_is_about_to_stop_is_told_of() {
        let judge = |drained_by| judge_running(Path::new("/data/control.sock"), drained_by).verdict;
        assert_eq!([None, Some("2026-11-30T12:00:00Z")].map(judge), [Verdict::Ok, Verdict::Warn]);
    }

    #[test]
    fn few_connections_are_told_of() {
        let verdicts = [960, 9_999, 10_000].map(|places| judge_open_files("it", places).verdict);
        assert_eq!(verdicts, [Verdict::Warn, Verdict::Warn, Verdict::Ok]);
    }

    #[test]
    fn the_limit_of_a_process_is_what_it_has_and_not_what_it_may_ask_for() {
        let limits = |soft| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max processes             63432                63432                processes \n\
                 Max open files            {soft:<20} 1048576              files     \n"
            )
        };
        assert_eq!(parse_limit(&limits("1024")), Some(1_024));
        assert_eq!(parse_limit(&limits("unlimited")), Some(u64::MAX));
        assert_eq!(parse_limit(""), None);
        assert_eq!(parse_limit(&limits("many")), None);
    }
}
