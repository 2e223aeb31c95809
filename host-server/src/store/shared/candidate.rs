//! A server that stands by, and takes the lease when its turn has come.

use std::task::Poll;
use std::time::Duration;

use waxwing_core::time::Instant;

use super::database::{Claim, Database, Witness};
use super::groups::Groups;
use super::lease::{Holder, Instance, Mark, Node, Renewed, Seen, Standby, Verdict};
use super::lost;
use crate::store::ApplyError;

/// A server that has no lease.
pub struct Candidate<D> {
    node: Node,
    instance: Instance,
    database: D,
    witness: Box<dyn Witness>,
    standby: Standby,
    /// The lease may have been taken: the answer is lost.
    is_unclear: bool,
    trouble: Option<Trouble>,
}

/// Why the last look, or the last attempt to take the lease, has come to nothing.
struct Trouble {
    why: String,
    /// The mark that was there; another one says that somebody serves.
    last: Option<Mark>,
}

impl<D: Database> Candidate<D> {
    /// A process that has just begun.
    #[must_use]
    pub fn new(
        node: Node,
        instance: Instance,
        database: D,
        witness: Box<dyn Witness>,
        lease: Duration,
        now: Instant,
    ) -> Self {
        let standby = Standby::new(node, lease, now);
        Self { node, instance, database, witness, standby, is_unclear: false, trouble: None }
    }

    /// The database, for what needs no lease.
    pub const fn database_mut(&mut self) -> &mut D {
        &mut self.database
    }

    /// When it looks at the database.
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        self.standby.poll_timeout()
    }

    /// Why it could not take the lease, or look at the database; `None`: another server serves.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| &*trouble.why)
    }

    /// Looks at the database. Returns the lease, if it has it now.
    ///
    /// # Errors
    /// The database has lost something, or is damaged: the process has to stop.
    pub fn look(&mut self, now: Instant) -> Result<Option<Holder>, ApplyError> {
        if self.is_unclear {
            return Ok(self.find_out(now));
        }
        let witnessed = self.witness.mark();
        let seen = match self.database.look(witnessed) {
            Ok(seen) => seen,
            Err(error @ (ApplyError::Fatal(_) | ApplyError::Corrupt(_))) => return Err(error),
            Err(error) => {
                self.failed(&error, None, now);
                return Ok(None);
            }
        };
        self.trouble.take_if(|trouble| trouble.last != Some(seen.last));
        match self.standby.saw(&seen, witnessed, now) {
            // What was read may come from a machine that is the database no more. Only the real one
            // commits anything.
            Verdict::Lost => match self.database.doubt(witnessed) {
                Ok(true) => Err(lost()),
                Ok(false) | Err(_) => {
                    self.standby.saw_nothing(now);
                    Ok(None)
                }
            },
            Verdict::Wait => {
                if let Some(mark) = seen.to_witness(witnessed) {
                    self.witness.write(mark);
                }
                Ok(None)
            }
            Verdict::Take => Ok(self.take(&seen, now)),
        }
    }

    /// The database of the server that this one is from now on.
    #[must_use]
    pub fn serve(self, holder: Holder) -> Groups<D> {
        Groups::new(self.database, holder, self.witness)
    }

    fn take(&mut self, seen: &Seen, now: Instant) -> Option<Holder> {
        let Self { node, instance, .. } = *self;
        let claim = Claim { node, instance, lease: seen.lease, last: seen.last };
        match self.database.take(&claim) {
            Ok(Some(taken)) => return Some(Holder::new(instance, taken)),
            Ok(None) => self.standby.saw_nothing(now),
            Err(error) => {
                self.is_unclear = matches!(error, ApplyError::Unclear(_));
                self.failed(&error, Some(seen.last), now);
            }
        }
        None
    }

    fn failed(&mut self, error: &ApplyError, last: Option<Mark>, now: Instant) {
        self.trouble = Some(Trouble { why: error.to_string(), last });
        self.standby.saw_nothing(now);
    }

    /// Only a renewal that is done says that the lease will not be lost with the machine that has it.
    fn find_out(&mut self, now: Instant) -> Option<Holder> {
        let Poll::Ready(renewed) = self.database.renew(self.instance) else {
            self.standby.look_again(now);
            return None;
        };
        let found: Option<Renewed> = match renewed {
            Ok(found) => found,
            Err(error) => {
                self.failed(&error, None, now);
                return None;
            }
        };
        self.standby.saw_nothing(now);
        self.is_unclear = false;
        found.map(|found| Holder::new(self.instance, found))
    }
}
