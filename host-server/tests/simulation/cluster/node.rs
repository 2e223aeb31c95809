//! A machine on which a server runs, or stands by, or does not run.

use std::time::Duration;

use waxwing_core::time::Instant;
use waxwing_server::config::Config;
use waxwing_server::exit::{Exit, Failure};
use waxwing_server::store::shared::{Candidate, Instance, Mark, Node as NodeId};

use super::connection::{Connection, Witness};
use super::database::Database;
use super::engine::Engine;
use crate::process::{Process, ServerKey};
use crate::simulated::Simulated;
use crate::timeline::{Event, Timeline};

pub(super) const LEASE: Duration = Duration::from_secs(1);
/// A process that has ended is started again after so many microseconds, mostly.
const RESTART: usize = 300_000;

pub(super) struct Node {
    number: usize,
    pub(super) witness: Witness,
    stage: Stage,
    /// When it does what there is to do, if nothing comes before.
    acts_at: Option<Instant>,
    /// Its process does not run before this moment.
    pub(super) paused_until: Option<Instant>,
    /// Its server was asked to end.
    pub(super) stops_by: Option<Instant>,
}

enum Stage {
    /// It is started when its time comes.
    Down,
    StandsBy(Box<Candidate<Connection>>),
    Serves(Box<Process>),
    /// It has said that the database has lost something, and waits for its operator.
    Refuses,
}

/// What a server starts with.
pub(super) struct Start<'s> {
    pub(super) database: &'s Database,
    pub(super) config: &'s Config,
    pub(super) shards: usize,
    /// Grows with every process, of all nodes.
    pub(super) processes: &'s mut u64,
}

impl Node {
    pub(super) fn new(number: usize, time: &mut Timeline) -> Self {
        let mut node = Self {
            number,
            witness: Witness::default(),
            stage: Stage::Down,
            acts_at: None,
            paused_until: None,
            stops_by: None,
        };
        node.restart(time);
        node
    }

    pub(super) fn process(&self) -> Option<&Process> {
        match &self.stage {
            Stage::Serves(process) => Some(process),
            _ => None,
        }
    }

    pub(super) fn process_mut(&mut self) -> Option<&mut Process> {
        match &mut self.stage {
            Stage::Serves(process) => Some(process),
            _ => None,
        }
    }

    /// For whoever looks at a seed that has failed.
    pub(super) fn describe(&self) -> String {
        let does = match &self.stage {
            Stage::Down => "is down",
            Stage::StandsBy(_) => "stands by",
            Stage::Serves(_) => "serves",
            Stage::Refuses => "refuses",
        };
        let Self { number, paused_until, acts_at, .. } = self;
        format!("node {number} {does}; acts at {acts_at:?}, paused until {paused_until:?}")
    }

    pub(super) const fn refuses(&self) -> bool {
        matches!(self.stage, Stage::Refuses)
    }

    /// The last mark that this node knows to be safe.
    pub(super) fn witnessed(&self) -> Option<Mark> {
        self.witness.truth()
    }

    /// The process is gone, if there was one, and another one is started.
    pub(super) fn restart(&mut self, time: &mut Timeline) {
        (self.stage, self.paused_until, self.stops_by) = (Stage::Down, None, None);
        let at = time.soon(RESTART);
        self.act_at(at, time);
    }

    /// The same, at once.
    pub(super) fn restart_at_once(&mut self, time: &mut Timeline) {
        (self.stage, self.paused_until, self.stops_by) = (Stage::Down, None, None);
        let at = time.now().instant;
        self.act_at(at, time);
    }

    fn act_at(&mut self, at: Instant, time: &mut Timeline) {
        self.acts_at = Some(at);
        time.schedule(at, Event::Node(self.number));
    }

    /// Its time has come. Returns why it has ended, if it has.
    pub(super) fn act(&mut self, start: &mut Start<'_>, time: &mut Timeline) -> Option<Failure> {
        let now = time.now().instant;
        self.acts_at.take_if(|at| *at <= now)?;
        if matches!(self.stage, Stage::Down) {
            *start.processes += 1;
            let instance = Instance(u128::from(*start.processes));
            let connection = Connection::new(start.database.clone(), self.number);
            let (node, witness) = (NodeId(self.number as u128), Box::new(self.witness.clone()));
            let candidate = Candidate::new(node, instance, connection, witness, LEASE, now);
            self.stage = Stage::StandsBy(Box::new(candidate));
        }
        let Stage::StandsBy(candidate) = &mut self.stage else { return None };
        match candidate.look(now) {
            Ok(None) => {
                let at = candidate.poll_timeout();
                self.act_at(at.max(now.after(Duration::from_micros(1))), time);
                None
            }
            Ok(Some(holder)) => {
                let Stage::StandsBy(candidate) = std::mem::replace(&mut self.stage, Stage::Down)
                else {
                    return None;
                };
                let storage = Box::new(Simulated(Engine(candidate.serve(holder))));
                let number = *start.processes << 8 | self.number as u64;
                match Process::start(
                    number,
                    start.shards,
                    start.config,
                    ServerKey::FIRST,
                    storage,
                    time,
                ) {
                    Ok(process) => self.stage = Stage::Serves(Box::new(process)),
                    // It could not read what is there, and is started again.
                    Err(_) => self.restart(time),
                }
                None
            }
            Err(error) => Some(self.end(error.into(), time)),
        }
    }

    /// Its server has stopped, or has to.
    fn end(&mut self, failure: Failure, time: &mut Timeline) -> Failure {
        match failure.exit() {
            Exit::Storage => {
                self.restart(time);
                self.stage = Stage::Refuses;
                self.acts_at = None;
            }
            _ => self.restart(time),
        }
        failure
    }

    /// One whose loops have stopped is followed by another. Returns why it has ended, if it was not asked to.
    pub(super) fn look_after_the_process(&mut self, time: &mut Timeline) -> Option<Failure> {
        let now = time.now().instant;
        let process = self.process()?;
        if !process.has_stopped() {
            let is_late = self.paused_until.is_none() && self.stops_by.is_some_and(|by| by < now);
            assert!(!is_late, "the server does not stop");
            return None;
        }
        let was_asked = self.stops_by.is_some();
        let Stage::Serves(mut process) = std::mem::replace(&mut self.stage, Stage::Down) else {
            return None;
        };
        let fatal = process.fatal.take();
        assert!(was_asked || fatal.is_some(), "the server has stopped, and nobody knows why");
        process.close();
        match fatal {
            Some(failure) => Some(self.end(failure, time)),
            None => {
                self.restart(time);
                None
            }
        }
    }

    /// What happened to its process is told to it, or waits until it goes on.
    pub(super) fn handle(&mut self, event: Event, time: &mut Timeline) {
        if let Some(until) = self.paused_until {
            if time.now().instant < until {
                return time.schedule(until, event);
            }
            self.paused_until = None;
        }
        if let Some(process) = self.process_mut() {
            process.handle(event, time);
        }
    }
}
