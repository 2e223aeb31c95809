//! A database on two machines: the primary, where statements are carried out, and a standby that has to
//! have every change before it is confirmed. Either can be lost, or cut off from the other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use waxwing_core::time::UnixTime;
use waxwing_server::store::shared::Mark;
use waxwing_server::store::{ApplyError, MemoryStorage};
use waxwing_testkit::simulation::{Dice, Seeded};

use super::faults::Fault;
use super::machine::{Machine, Reply, Statement};

/// What comes of a statement.
pub(super) type Outcome = Result<Reply, ApplyError>;

/// Both machines, and what is on its way to them. Clones share it.
#[derive(Clone)]
pub(super) struct Database(Arc<Mutex<State>>);

pub(super) struct State {
    hosts: [Host; 2],
    /// The machine that is the primary now.
    primary: usize,
    /// Its changes reach the other machine.
    is_replicated: bool,
    /// The other machine has every change that was confirmed.
    can_fail_over: bool,
    /// Where each node's next connection goes.
    routes: [usize; 2],
    /// Statements whose connection is gone, and which have not arrived.
    late: Vec<(usize, Statement)>,
    /// So many of them are not scheduled to arrive.
    unscheduled: usize,
    /// Answers that nobody has taken.
    answers: BTreeMap<u64, Outcome>,
    tickets: u64,
    /// Statements and their answers are lost now and then.
    is_bad: bool,
    /// An older state has come back, and no operator knows.
    pub(super) has_lost: bool,
    pub(super) fault: Option<Fault>,
    dice: Seeded,
}

/// A machine with a database.
struct Host {
    machine: Machine,
    /// It takes statements.
    serves: bool,
    /// Who has the lock of the row, and who waits for it. What the first one has changed nobody sees
    /// before it is confirmed.
    queue: VecDeque<Waiting>,
    /// What was committed here alone.
    unreplicated: Vec<Statement>,
}

struct Waiting {
    statement: Statement,
    /// Where the answer goes.
    ticket: Option<u64>,
    /// The newest mark when it began to wait.
    last: Mark,
}

/// How a statement gets to the database.
enum Way {
    Good,
    Never,
    Lost,
    Late,
    AnswerLost,
}

fn away() -> ApplyError {
    ApplyError::Away("the database is not there".into())
}

fn unclear() -> ApplyError {
    ApplyError::Unclear("the connection is gone".into())
}

impl Database {
    pub(super) fn new(seed: u64, data: MemoryStorage, fault: Option<Fault>) -> Self {
        let first = Machine::new(data);
        let hosts = [first.copy(), first].map(|machine| Host {
            machine,
            serves: false,
            queue: VecDeque::new(),
            unreplicated: Vec::new(),
        });
        let mut state = State {
            hosts,
            primary: 0,
            is_replicated: true,
            can_fail_over: true,
            routes: [0; 2],
            late: Vec::new(),
            unscheduled: 0,
            answers: BTreeMap::new(),
            tickets: 0,
            is_bad: false,
            has_lost: false,
            fault,
            dice: Seeded::new(seed ^ 0xda7a),
        };
        state.hosts[0].serves = true;
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A test that has failed may hold it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    /// What a node reads, if the machine that it reaches answers.
    pub(super) fn read(&mut self, node: usize) -> Result<&Machine, ApplyError> {
        let host = self.reach(node)?;
        if self.is_bad && self.dice.roll(12) == 0 {
            return Err(away());
        }
        Ok(&self.hosts[host].machine)
    }

    /// What everybody reads who reaches the primary.
    pub(super) fn confirmed(&self) -> &Machine {
        &self.hosts[self.primary].machine
    }

    /// A statement of a connection that waits for its answer until it gives up. `may_wait`: also while
    /// another one has the row.
    pub(super) fn carry_out(
        &mut self,
        node: usize,
        statement: Statement,
        may_wait: bool,
    ) -> Outcome {
        let host = self.give(node, &statement)?;
        if !may_wait && !self.hosts[host].queue.is_empty() {
            return Err(ApplyError::Away("the row is locked".into()));
        }
        let (ticket, is_group) = (self.ticket(), matches!(statement, Statement::Group(..)));
        self.queue(host, statement, Some(ticket));
        // Somebody may have ended its wait.
        let is_first = self.hosts[host].queue.front().is_some_and(|one| one.ticket == Some(ticket));
        if is_first && self.dice.roll(3) == 0 {
            self.end_wait(host);
        }
        self.answers.remove(&ticket).unwrap_or_else(|| {
            let have_rows_come = is_group && self.fault == Some(Fault::RowsAsDone);
            if have_rows_come { Ok(Reply::Done) } else { Err(unclear()) }
        })
    }

    /// A statement whose answer is asked for later, by this ticket.
    pub(super) fn begin(&mut self, node: usize, statement: Statement) -> Result<u64, ApplyError> {
        let host = self.give(node, &statement)?;
        let ticket = self.ticket();
        self.queue(host, statement, Some(ticket));
        Ok(ticket)
    }

    /// The answer to a statement, once it is there.
    pub(super) fn take_answer(&mut self, ticket: u64) -> Option<Outcome> {
        self.answers.remove(&ticket)
    }

    /// A node's next connection goes to one of the machines that take it.
    pub(super) fn reconnect(&mut self, node: usize) {
        let other = 1 - self.primary;
        let goes_astray = self.hosts[other].serves && self.dice.roll(2) == 0;
        self.routes[node] = if goes_astray { other } else { self.primary };
    }

    /// How often somebody asks for an answer before they give up.
    pub(super) fn patience(&mut self) -> usize {
        let most = if self.dice.roll(4) == 0 { 800 } else { 60 };
        1 + self.dice.roll(most)
    }

    /// The machine that a statement has come to, if its answer comes back.
    fn give(&mut self, node: usize, statement: &Statement) -> Result<usize, ApplyError> {
        let host = self.reach(node)?;
        let way = self.way();
        if !matches!(way, Way::Good) {
            self.reconnect(node);
        }
        match way {
            Way::Good => return Ok(host),
            Way::Never => return Err(away()),
            Way::Lost => {}
            Way::Late => {
                self.late.push((host, statement.clone()));
                self.unscheduled += 1;
            }
            Way::AnswerLost => self.queue(host, statement.clone(), None),
        }
        Err(unclear())
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    fn reach(&mut self, node: usize) -> Result<usize, ApplyError> {
        let host = self.routes[node];
        if !self.hosts[host].serves {
            self.routes[node] = self.primary;
            return Err(away());
        }
        Ok(host)
    }

    fn way(&mut self) -> Way {
        if !self.is_bad {
            return Way::Good;
        }
        match self.dice.roll(24) {
            0..2 => Way::Never,
            2..4 => Way::Lost,
            4..7 => Way::Late,
            7..9 => Way::AnswerLost,
            _ => Way::Good,
        }
    }

    /// How many statements are to be scheduled to arrive.
    pub(super) fn take_unscheduled(&mut self) -> usize {
        std::mem::take(&mut self.unscheduled)
    }

    /// A statement that is late arrives, though not always the first of them.
    pub(super) fn arrive(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let at = self.dice.roll(self.late.len());
        let (host, statement) = self.late.swap_remove(at);
        if self.hosts[host].serves {
            self.queue(host, statement, None);
        }
    }

    fn queue(&mut self, host: usize, statement: Statement, ticket: Option<u64>) {
        let last = self.hosts[host].machine.last();
        self.hosts[host].queue.push_back(Waiting { statement, ticket, last });
        self.go_on(host);
    }

    /// Does what nothing stands in the way of.
    fn go_on(&mut self, at: usize) {
        while let Some(first) = self.hosts[at].queue.front() {
            let changes = self.hosts[at].machine.would_change(&first.statement, self.fault);
            let is_safe = at == self.primary && self.is_replicated;
            if changes && !is_safe && self.fault != Some(Fault::NoWait) {
                return;
            }
            let Some(first) = self.hosts[at].queue.pop_front() else { return };
            self.check(at, &first.statement, changes);
            let has_waited = first.last != self.hosts[at].machine.last();
            let mut outcome = self.hosts[at].machine.execute(&first.statement, self.fault);
            if changes && is_safe {
                let other = self.hosts[1 - at].machine.execute(&first.statement, self.fault);
                assert_eq!(outcome.is_ok(), other.is_ok(), "the machines are not the same");
            } else if changes {
                self.hosts[at].unreplicated.push(first.statement);
            }
            if self.fault == Some(Fault::OneStatement)
                && has_waited
                && let Ok(Reply::Renewed(Some(renewed))) = &mut outcome
            {
                renewed.last = first.last;
            }
            if let Some(ticket) = first.ticket {
                self.answers.insert(ticket, outcome);
            }
        }
    }

    /// Nothing is built on what has lost something.
    fn check(&self, at: usize, statement: &Statement, changes: bool) {
        let builds = matches!(statement, Statement::Group(..));
        let is_real = at == self.primary;
        assert!(
            !(self.has_lost && builds && changes && is_real),
            "a group is committed to a database that has lost something"
        );
    }

    /// Statements and answers are lost now and then, or not any more.
    pub(super) fn set_bad(&mut self, is_bad: bool) {
        self.is_bad = is_bad;
    }

    /// The standby does not hear from the primary, or hears all that it has missed.
    pub(super) fn set_replicated(&mut self, is_replicated: bool) {
        if !self.can_fail_over {
            // There is no standby.
            return;
        }
        self.is_replicated = is_replicated;
        if is_replicated {
            let primary = self.primary;
            for statement in std::mem::take(&mut self.hosts[primary].unreplicated) {
                let _ = self.hosts[1 - primary].machine.execute(&statement, self.fault);
            }
            self.go_on(primary);
        }
    }

    /// Whoever waits for the standby, on one of the machines, waits no more: the change is on one machine.
    pub(super) fn end_wait(&mut self, at: usize) {
        if !self.hosts[at].serves {
            return;
        }
        let Some(first) = self.hosts[at].queue.pop_front() else { return };
        let outcome = self.hosts[at].machine.execute(&first.statement, self.fault);
        self.hosts[at].unreplicated.push(first.statement);
        if let Some(ticket) = first.ticket {
            let is_seen = self.fault != Some(Fault::WarningIgnored);
            let warned = outcome.and_then(|reply| if is_seen { Err(unclear()) } else { Ok(reply) });
            self.answers.insert(ticket, warned);
        }
        self.go_on(at);
    }

    /// The standby takes the place of the primary. That one is gone, or goes on by itself for some.
    pub(super) fn fail_over(&mut self) -> bool {
        if !self.can_fail_over {
            return false;
        }
        let old = self.primary;
        self.primary = 1 - old;
        (self.is_replicated, self.can_fail_over) = (false, false);
        self.hosts[self.primary].serves = true;
        self.hosts[old].serves = self.dice.roll(2) == 0;
        if !self.hosts[old].serves {
            self.hosts[old].queue.clear();
        }
        for route in 0..2 {
            if !self.hosts[old].serves || self.dice.roll(2) == 0 {
                self.routes[route] = self.primary;
            }
        }
        true
    }

    /// The machine that is not the primary becomes a standby of it.
    pub(super) fn rebuild(&mut self) {
        if self.can_fail_over {
            return;
        }
        let machine = self.hosts[self.primary].machine.copy();
        let (queue, unreplicated) = (VecDeque::new(), Vec::new());
        self.hosts[1 - self.primary] = Host { machine, serves: false, queue, unreplicated };
        self.hosts[self.primary].unreplicated.clear();
        (self.is_replicated, self.can_fail_over) = (true, true);
        self.go_on(self.primary);
    }

    /// Nothing goes wrong any more.
    pub(super) fn end_all_trouble(&mut self) {
        self.is_bad = false;
        self.rebuild();
        self.set_replicated(true);
        self.routes = [self.primary; 2];
        while !self.late.is_empty() {
            self.arrive();
        }
    }

    /// An older state is the database now, and everybody's connections are gone.
    pub(super) fn restore(&mut self, backup: &Machine) {
        self.has_lost = true;
        self.late.clear();
        self.hosts = [0, 1].map(|at| Host {
            machine: backup.copy(),
            serves: at == self.primary,
            queue: VecDeque::new(),
            unreplicated: Vec::new(),
        });
        (self.is_replicated, self.can_fail_over, self.is_bad) = (true, true, false);
        self.routes = [self.primary; 2];
    }

    /// An operator goes on with what is left.
    pub(super) fn adopt(&mut self, witnessed: Option<Mark>, letters_missing_until: UnixTime) {
        self.has_lost = false;
        let statement = Statement::Adopt(witnessed, letters_missing_until);
        self.queue(self.primary, statement, None);
    }
}
