//! Where a program's lines come in: each request goes to the clerk of the account that it names. The account
//! that is meant when none is named has a clerk from the start, the others get theirs when they are named.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::clerk::Clerk;
use super::inbox::Inbox;
use super::message::{self, LONGEST, Unusable};
use super::offices::Offices;
use super::outgoing::{Outgoing, Stop};
use crate::console::Remarks;
use crate::exit::Failure;
use crate::lines::{self, Line};
use crate::system;

type Threads = Arc<Mutex<Vec<JoinHandle<()>>>>;

/// Serves one program. What it says is read by a thread of its own, and what it is told is written by
/// another.
pub(super) fn serve(
    offices: &Arc<Offices>,
    inbox: &Arc<Inbox>,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<(), Stop> {
    let failed = |error| {
        Stop::Failed(Failure::General(format!("no thread: {}", system::of_machine(&error))))
    };
    let mut clerk = Clerk::open(&offices.usual, None).map_err(Stop::Failed)?;
    let outgoing = Arc::<Outgoing>::default();
    let threads = Threads::default();
    let mut reception = Reception {
        offices: offices.clone(),
        usual: inbox.clone(),
        others: BTreeMap::new(),
        outgoing: outgoing.clone(),
        threads: threads.clone(),
    };
    let reader = thread::Builder::new().name("reader".into());
    reader.spawn(move || reception.read(BufReader::new(input))).map_err(failed)?;
    let from = outgoing.clone();
    let writer = thread::Builder::new().name("writer".into());
    writer.spawn(move || from.write(output)).map_err(failed)?;
    let done = clerk.serve(inbox, &outgoing);
    if done.is_ok() {
        // Nothing will come for them any more, either.
        let others = std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
        for other in others {
            // One that has panicked has said so.
            let _ = other.join();
        }
    }
    outgoing.close(inbox);
    done
}

/// What reads the lines of one program.
struct Reception {
    offices: Arc<Offices>,
    usual: Arc<Inbox>,
    others: BTreeMap<String, Arc<Inbox>>,
    outgoing: Arc<Outgoing>,
    threads: Threads,
}

impl Reception {
    /// Reads until there is nothing more, as fast as it is taken.
    fn read(&mut self, mut input: impl BufRead) {
        // What cannot be read is at its end.
        while let Ok(Some(line)) = lines::next(&mut input, LONGEST) {
            let (read, len) = match &line {
                Line::Whole(bytes) => (message::read(bytes).transpose(), bytes.len()),
                Line::TooLong => (Some(Err(Unusable::too_long())), 0),
            };
            match read {
                None => {}
                Some(Ok(mut request)) => match request.account.take() {
                    None => self.usual.push(Ok(request), len),
                    Some(account) => match self.inbox_of(&account) {
                        Ok(inbox) => inbox.push(Ok(request), len),
                        Err(failure) => {
                            if let Some(id) = request.id {
                                let refusal = failure.into();
                                self.usual.push(Err(Unusable { id, refusal }), len);
                            }
                        }
                    },
                },
                Some(Err(unusable)) => self.usual.push(Err(unusable), len),
            }
        }
        for other in self.others.values() {
            other.close();
        }
        // The last one: whoever serves it waits for the others then.
        self.usual.close();
    }

    fn inbox_of(&mut self, account: &str) -> Result<Arc<Inbox>, Failure> {
        if let Some(inbox) = self.others.get(account) {
            return Ok(inbox.clone());
        }
        let office = self.offices.of(account)?;
        let inbox = if Arc::ptr_eq(&office, &self.offices.usual) {
            self.usual.clone()
        } else {
            let inbox = office.board.listen();
            let (name, to, from) = (account.to_owned(), inbox.clone(), self.outgoing.clone());
            let usual = self.usual.clone();
            let serve = move || {
                let served = Clerk::open(&office, Some(&name)).map_err(Stop::Failed);
                if let Err(stop) = served.and_then(|mut clerk| clerk.serve(&to, &from)) {
                    if let Stop::Failed(failure) = stop {
                        // A remark never fails.
                        let _ = writeln!(Remarks::new(io::stderr()), "account {name}: {failure}");
                    }
                    // Requests for this account would have no answer.
                    usual.end();
                }
            };
            let clerk = thread::Builder::new().name("clerk".into()).spawn(serve);
            let clerk = clerk.map_err(|error| {
                Failure::General(format!("no thread: {}", system::of_machine(&error)))
            })?;
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(clerk);
            inbox
        };
        self.others.insert(account.to_owned(), inbox.clone());
        Ok(inbox)
    }
}
