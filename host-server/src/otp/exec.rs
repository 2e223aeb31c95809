//! Codes handed to a program, such as one that sends text messages.
//!
//! Phone and code go to its standard input, one line each: arguments and environment can be
//! seen by others on the machine. Its output is thrown away, so that it cannot carry a code
//! into the server's log.

use std::env;
use std::io::{self, PipeReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use waxwing_core::phone::{Otp, Phone};

use super::workers::{Ending, Job, Workers};
use super::{DeliveryError, DeliveryTicket, OtpDelivery, Report};
use crate::config::ExecConfig;
use crate::descriptors;

/// Exit codes, as sysexits.h has them, by which a program says that it works, but not for this phone.
const BAD_PHONE: i32 = 65;
const NO_SUCH_PHONE: i32 = 67;

/// Runs a program for each code, a few at a time, in threads of its own. When it is dropped, the
/// programs that run are killed: a server that ends forgets its codes.
pub struct ExecDelivery {
    workers: Workers,
}

impl ExecDelivery {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: &ExecConfig, report: &Report) -> io::Result<Self> {
        let ExecConfig { workers, queue, .. } = *config;
        let config = config.clone();
        let run = move |job: &Job, ending: &Ending| run(&config, job, ending);
        Ok(Self { workers: Workers::start(workers, queue, report, Arc::new(run))? })
    }
}

impl Drop for ExecDelivery {
    fn drop(&mut self) {
        self.workers.finish();
    }
}

impl OtpDelivery for ExecDelivery {
    fn deliver(&self, ticket: DeliveryTicket, phone: &Phone, code: &Otp) {
        self.workers.deliver(ticket, phone, code);
    }

    fn retire(&mut self) {
        self.workers.retire();
    }

    fn is_done(&self) -> bool {
        self.workers.are_done()
    }
}

fn run(config: &ExecConfig, job: &Job, ending: &Ending) -> Result<(), DeliveryError> {
    let mut command = Command::new(&config.program);
    for (name, _) in env::vars_os() {
        // The settings of the server are none of its business.
        if name.as_encoded_bytes().starts_with(b"WAXWING_") {
            command.env_remove(name);
        }
    }
    let unusable = |error: io::Error| DeliveryError::Unusable(error.to_string());
    let mut child = command
        .args(&config.args)
        .stdin(complete(&job.phone, &job.code).map_err(unusable)?)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own, so that whatever it starts can be killed with it.
        .process_group(0)
        .spawn()
        .map_err(unusable)?;
    descriptors::lower_again(Pid::from_child(&child));
    let deadline = Instant::now() + config.timeout;
    let ended = wait(&child, deadline, ending);
    // Whatever it has started ends with it. The group cannot be another's yet: its number is free
    // only when the program has been waited for.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let status = child.wait().map_err(|error| DeliveryError::Failed(error.to_string()))?;
    ended?;
    match status.code() {
        Some(0) => Ok(()),
        Some(BAD_PHONE | NO_SUCH_PHONE) => Err(DeliveryError::Refused(status.to_string())),
        _ => Err(DeliveryError::Failed(status.to_string())),
    }
}

/// The input of a program, which is complete before the program starts. If the server were killed
/// while it writes, the program would send the part of a code that it has got.
fn complete(phone: &Phone, code: &Otp) -> io::Result<PipeReader> {
    let (input, mut end) = io::pipe()?;
    // Both lines fit into a pipe, so this does not wait for somebody who reads.
    for part in [phone.as_bytes(), b"\n", code.expose(), b"\n"] {
        end.write_all(part)?;
    }
    Ok(input)
}

/// Until the program has ended, or must.
fn wait(child: &Child, deadline: Instant, ending: &Ending) -> Result<(), DeliveryError> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let mut pause = Duration::from_millis(2);
    loop {
        match waitid(WaitId::Pid(Pid::from_child(child)), look) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if ending.has_begun() => return Err(DeliveryError::Ending),
            Ok(None) if Instant::now() >= deadline => return Err(DeliveryError::TimedOut),
            Ok(None) => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            Err(error) => return Err(DeliveryError::Failed(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    type Reports = Receiver<(DeliveryTicket, Result<(), DeliveryError>)>;

    /// `$0` of the script is `argument`.
    fn shell(script: &str, argument: &Path) -> ExecConfig {
        ExecConfig {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into(), argument.display().to_string()],
            timeout: WAIT,
            workers: 1,
            queue: 2,
        }
    }

    fn start(config: &ExecConfig) -> (ExecDelivery, Reports) {
        let (reports, received) = channel();
        let report: Report = Arc::new(move |ticket, result| {
            let _ = reports.send((ticket, result));
        });
        (ExecDelivery::start(config, &report).unwrap(), received)
    }

    fn deliver(delivery: &ExecDelivery, ticket: u64) {
        let phone = Phone::parse(b"+4915112345617").unwrap();
        delivery.deliver(DeliveryTicket(ticket), &phone, &Otp::parse(b"012345").unwrap());
    }

    #[test]
    fn phone_and_code_come_in_by_standard_input_only() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("seen");
        let script = "{ cat; tr '\\0' '\\n' < /proc/$$/cmdline; env; } > \"$0\"; echo noise";
        let (delivery, reports) = start(&shell(script, &file));
        deliver(&delivery, 7);
        assert_eq!(reports.recv_timeout(WAIT), Ok((DeliveryTicket(7), Ok(()))));
        let seen = fs::read_to_string(file).unwrap();
        let rest = seen.strip_prefix("+4915112345617\n012345\n").unwrap();
        assert!(!rest.contains("012345") && !rest.contains("4915112345617"));
    }

    #[test]
    fn the_input_of_a_program_is_complete_before_it_starts() {
        let phone = Phone::parse(b"+4915112345617").unwrap();
        let input = complete(&phone, &Otp::parse(b"012345").unwrap()).unwrap();
        // Nothing can be written into it any more, so it ends.
        assert_eq!(io::read_to_string(input).unwrap(), "+4915112345617\n012345\n");
    }

    #[test]
    fn failures_come_back_under_their_ticket() {
        let (delivery, reports) = start(&shell("exit 3", Path::new("x")));
        deliver(&delivery, 1);
        let (ticket, result) = reports.recv_timeout(WAIT).unwrap();
        assert_eq!(ticket, DeliveryTicket(1));
        assert_eq!(result, Err(DeliveryError::Failed("exit status: 3".into())));

        let (delivery, reports) = start(&shell("exit 67", Path::new("x")));
        deliver(&delivery, 3);
        let (_, result) = reports.recv_timeout(WAIT).unwrap();
        assert_eq!(result, Err(DeliveryError::Refused("exit status: 67".into())));

        let absent = ExecConfig { program: "/no/such/program".into(), ..shell("", Path::new("x")) };
        let (delivery, reports) = start(&absent);
        deliver(&delivery, 2);
        let (_, result) = reports.recv_timeout(WAIT).unwrap();
        assert!(matches!(result, Err(DeliveryError::Unusable(_))), "{result:?}");
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("alive");
        let script = "(sleep 2; echo yes > \"$0\") & wait";
        let config = ExecConfig { timeout: Duration::from_millis(50), ..shell(script, &file) };
        let (delivery, reports) = start(&config);
        let started = Instant::now();
        deliver(&delivery, 1);
        let expected = (DeliveryTicket(1), Err(DeliveryError::TimedOut));
        assert_eq!(reports.recv_timeout(WAIT), Ok(expected));
        thread::sleep(Duration::from_millis(2_500).saturating_sub(started.elapsed()));
        assert!(!file.exists());
    }

    #[test]
    fn what_does_not_fit_the_queue_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("go");
        let script = "until test -e \"$0\"; do sleep 0.01; done";
        let (delivery, reports) = start(&shell(script, &file));
        // One runs, two wait; the first may still be waiting when the fourth comes.
        for ticket in 1..=5 {
            deliver(&delivery, ticket);
        }
        let (ticket, result) = reports.recv_timeout(WAIT).unwrap();
        assert_eq!(result, Err(DeliveryError::Busy));
        assert!(ticket >= DeliveryTicket(3));
        fs::write(&file, "").unwrap();
        let mut tickets: Vec<_> = (0..4).map(|_| reports.recv_timeout(WAIT).unwrap().0.0).collect();
        tickets.push(ticket.0);
        tickets.sort_unstable();
        assert_eq!(tickets, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_a_program_leaves_behind_ends_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let script = "sleep 60 & echo $! > \"$0\"; exit 0";
        let (delivery, reports) = start(&shell(script, &file));
        deliver(&delivery, 1);
        assert_eq!(reports.recv_timeout(WAIT), Ok((DeliveryTicket(1), Ok(()))));
        gone(fs::read_to_string(file).unwrap().trim());
    }

    #[test]
    fn a_program_that_runs_ends_with_the_server_and_what_waits_is_not_begun() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pids");
        let (delivery, reports) = start(&shell("echo $$ >> \"$0\"; exec sleep 60", &file));
        deliver(&delivery, 1);
        deliver(&delivery, 2);
        let started = Instant::now();
        while fs::read_to_string(&file).unwrap_or_default().is_empty() {
            assert!(started.elapsed() < WAIT);
            thread::sleep(Duration::from_millis(5));
        }
        drop(delivery);
        let ended = [1, 2].map(|ticket| (DeliveryTicket(ticket), Err(DeliveryError::Ending)));
        assert_eq!(reports.iter().collect::<Vec<_>>(), ended);
        let pids = fs::read_to_string(file).unwrap();
        assert_eq!(pids.lines().count(), 1);
        gone(pids.trim());
    }

    /// Whoever adopts a process that was killed buries it sooner or later.
    #[track_caller]
    fn gone(pid: &str) {
        let started = Instant::now();
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while !(state().is_empty() || state().contains(") Z ")) {
            assert!(started.elapsed() < WAIT, "{}", state());
            thread::sleep(Duration::from_millis(5));
        }
    }
}
