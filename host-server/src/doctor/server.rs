//! The server itself: whether one runs, and how many connections it has room for.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use waxwing_transport_mio::try_address;

use super::place::Server;
use super::{Finding, Place};
use crate::admin::commands::status::Status;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::descriptors;

pub(super) fn look(place: &Place<'_>) -> Finding {
    match &place.server {
        Server::Nowhere => Finding::skipped("there is no place for a control socket"),
        Server::Misplaced(why) => Finding::fail(why, "name a shorter path"),
        Server::Closed(path) => Finding::for_another(format!(
            "this user may not use the control socket {}",
            path.display()
        )),
        Server::Absent(path) => {
            let users = DataDir::existing(&place.config.server.data).map(|data| data.users());
            let users = users.unwrap_or_default();
            let taken = users.is_empty().then(|| taken(place.config)).flatten();
            taken.unwrap_or_else(|| judge_silence(path, &users))
        }
        Server::Unwell { process, why } => judge_unwell(*process, why, &place.config.log.file),
        Server::Runs { path, status, .. } => judge_running(path, status),
    }
}

/// An address on which a server could not listen that is started now.
fn taken(config: &Config) -> Option<Finding> {
    let Config { server, metrics, .. } = config;
    let listen = server.listen.iter().map(|address| ("server.listen", *address));
    let all = listen.chain(metrics.listen.map(|address| ("metrics.listen", address)));
    let tried = all.filter_map(|(key, address)| Some((key, address, try_address(address).err()?)));
    // What this user may not do, the unit may allow.
    let is_taken = |error: &io::Error| {
        matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable)
    };
    let (key, address, error) = tried.into_iter().find(|(_, _, error)| is_taken(error))?;
    let help = match error.kind() {
        ErrorKind::AddrInUse => {
            "another program listens there, and no server can start: `ss -ltnp` shows which"
        }
        _ => "no server can start: name an address of this machine, which `ip address` shows",
    };
    Some(Finding::fail(format!("none runs, and {key}: {address} cannot be had: {error}"), help))
}

/// Somebody listens at the control socket, and this is what is wrong with the answer.
fn judge_unwell(process: Option<i32>, why: &str, log: &Path) -> Finding {
    let log = match log.as_os_str().is_empty() {
        true => "journalctl -u waxwing".to_owned(),
        false => log.display().to_string(),
    };
    let process = process.map(|process| format!("process {process}: ")).unwrap_or_default();
    Finding::fail(
        format!("{process}{why}"),
        format!(
            "its log is in: {log}. Systemd starts one that hangs again within a minute; else do so yourself: \
             systemctl restart waxwing"
        ),
    )
}

fn judge_running(path: &Path, status: &Status) -> Finding {
    let path = path.display();
    if status.stops() {
        let waits = status.backup_begun().map(|(begun, _)| {
            format!(", and waits for a backup that was begun {begun}; it goes on without it after ten seconds")
        });
        return Finding::warn(
            format!("it stops{}", waits.unwrap_or_default()),
            "when it has stopped: systemctl start waxwing",
        );
    }
    let hanging = status.hanging_loops();
    if !hanging.is_empty() {
        return Finding::fail(
            format!("it runs, and event loops of it do not answer: {}", hanging.join(", ")),
            "see \"WaxwingLoopHangs\" in OPERATING.md",
        );
    }
    if let Some(why) = status.storage_problem() {
        return Finding::fail(
            format!("it runs, and storage does not take what is written: {why}"),
            "see \"WaxwingNotReady\" in OPERATING.md",
        );
    }
    match status.drained_by() {
        None => Finding::ok(format!("it runs, and answers at {path}")),
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

pub(super) fn open_files(place: &Place<'_>) -> Finding {
    match place.server.process().and_then(limit_of) {
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
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use serde_json::json;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn an_address_that_another_program_has_keeps_a_server_from_starting() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        let mut config = Config::default();
        config.server.listen = vec!["127.0.0.1:0".parse().unwrap(), address];
        let found = taken(&config).unwrap();
        assert_eq!(found.verdict, Verdict::Fail);
        let said = format!("none runs, and server.listen: {address} cannot be had");
        assert!(found.found.starts_with(&said), "{}", found.found);
        config.server.listen.pop();
        config.metrics.listen = Some(address);
        assert!(taken(&config).unwrap().found.contains("metrics.listen"));
        drop(other);
        assert_eq!(taken(&config), None);
        // One of the documentation, which no machine has.
        config.server.listen = vec!["192.0.2.1:9295".parse().unwrap()];
        assert!(taken(&config).unwrap().help.unwrap().contains("an address of this machine"));
    }

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
    fn what_is_wrong_with_a_server_that_runs_is_told_of() {
        let status = |change: serde_json::Value| -> Status {
            let mut status = serde_json::to_value(Status::default()).unwrap();
            status["storage"]["works"] = true.into();
            status.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            serde_json::from_value(status).unwrap()
        };
        let judge = |change| judge_running(Path::new("/data/control.sock"), &status(change));
        assert_eq!(judge(json!({})).verdict, Verdict::Ok);
        let stops = judge(json!({ "drained_by": "2026-11-30T12:00:00Z" }));
        assert_eq!(stops.verdict, Verdict::Warn);
        let one = |number: u16, answers: bool| json!({ "number": number, "answers": answers, "turn_p99_us": null, "connections": 0, "sessions": 0 });
        let hangs = judge(json!({ "loops": [one(0, true), one(1, false)] }));
        assert_eq!(hangs.verdict, Verdict::Fail);
        assert!(hangs.found.ends_with("do not answer: 1"), "{}", hangs.found);
        // The loops of a server that stops have ended.
        let stops = judge(json!({ "stops": true, "loops": [one(0, false)] }));
        assert_eq!((stops.verdict, &*stops.found), (Verdict::Warn, "it stops"));
        let mut storage = serde_json::to_value(Status::default()).unwrap()["storage"].take();
        storage["trouble"] = "No space left on device".into();
        let storage = judge(json!({ "storage": storage }));
        assert_eq!(storage.verdict, Verdict::Fail);
        assert!(storage.found.ends_with("No space left on device"), "{}", storage.found);
    }

    #[test]
    fn somebody_who_listens_and_says_nothing_is_waited_for_once_and_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = directory.path().to_owned();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
        let server = Server::look(&config, Duration::from_millis(50));
        listener.accept().unwrap();
        listener.set_nonblocking(true).unwrap();
        let place = Place { config: &config, server };
        let found = look(&place);
        assert_eq!(found.verdict, Verdict::Fail);
        let own = format!("process {}: ", std::process::id());
        assert!(found.found.starts_with(&own), "{}", found.found);
        assert!(found.found.contains("does not answer within 0.05 seconds"), "{}", found.found);
        assert!(!found.found.contains("audit show"), "it only asked: {}", found.found);
        let in_file = judge_unwell(None, "it hangs", Path::new("/var/log/waxwing.log"));
        assert!(in_file.help.unwrap().starts_with("its log is in: /var/log/waxwing.log."));
        for check in super::super::CHECKS {
            (check.look)(&place);
        }
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
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
