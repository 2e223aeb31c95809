//! Codes handed to a program, such as one that sends text messages.
//!
//! Phone and code go to its standard input, one line each: arguments and environment can be
//! seen by others on the machine. Its output is thrown away, so that it cannot carry a code
//! into the server's log.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use waxwing_core::phone::{Otp, Phone};

use super::{DeliveryError, DeliveryTicket, OtpDelivery, Report};
use crate::config::ExecConfig;

/// Runs a program for each code, a few at a time, in threads of its own.
pub struct ExecDelivery {
    jobs: SyncSender<Job>,
    report: Report,
}

struct Job {
    ticket: DeliveryTicket,
    phone: Phone,
    code: Otp,
}

impl ExecDelivery {
    /// Starts the threads. They end after the value is dropped, when their queue is empty.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: &ExecConfig, report: &Report) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(config.queue);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..config.workers {
            let (config, queue, report) = (config.clone(), queue.clone(), report.clone());
            thread::Builder::new().name("waxwing-otp".into()).spawn(move || {
                while let Some(job) = next(&queue) {
                    report(job.ticket, run(&config, &job));
                }
            })?;
        }
        Ok(Self { jobs, report: report.clone() })
    }
}

impl OtpDelivery for ExecDelivery {
    fn deliver(&self, ticket: DeliveryTicket, phone: &Phone, code: &Otp) {
        let job = Job { ticket, phone: *phone, code: code.clone() };
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                (self.report)(ticket, Err(DeliveryError::Busy));
            }
        }
    }
}

fn next(queue: &Mutex<Receiver<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn run(config: &ExecConfig, job: &Job) -> Result<(), DeliveryError> {
    let mut child = Command::new(&config.program)
        .args(&config.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own, so that whatever it starts can be killed with it.
        .process_group(0)
        .spawn()
        .map_err(|error| DeliveryError::Unusable(error.to_string()))?;
    let deadline = Instant::now() + config.timeout;
    if let Some(mut input) = child.stdin.take() {
        // Both lines fit into a pipe, so this does not wait for the program. One that does not
        // read them is judged by its exit code like any other.
        let lines = [job.phone.as_bytes(), b"\n", job.code.expose(), b"\n"];
        let _ = lines.iter().try_for_each(|part| input.write_all(part));
    }
    wait(&mut child, deadline)
}

fn wait(child: &mut Child, deadline: Instant) -> Result<(), DeliveryError> {
    let mut pause = Duration::from_millis(2);
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(DeliveryError::Failed(status.to_string())),
            Ok(None) if Instant::now() < deadline => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            Ok(None) => {
                kill(child);
                return Err(DeliveryError::TimedOut);
            }
            Err(error) => {
                kill(child);
                return Err(DeliveryError::Failed(error.to_string()));
            }
        }
    }
}

fn kill(child: &mut Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::mpsc::channel;

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
    fn failures_come_back_under_their_ticket() {
        let (delivery, reports) = start(&shell("exit 3", Path::new("x")));
        deliver(&delivery, 1);
        let (ticket, result) = reports.recv_timeout(WAIT).unwrap();
        assert_eq!(ticket, DeliveryTicket(1));
        assert_eq!(result, Err(DeliveryError::Failed("exit status: 3".into())));

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
}
