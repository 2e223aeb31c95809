//! What is asked of a database that several servers can reach.

use std::sync::Arc;
use std::task::Poll;

use waxwing_core::crypto::Digest;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::storage::{Answer, Batch, ExpiredLetter, Question, QueueId, Snapshot};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{Status, StatusQuery};

use super::lease::{Fence, Instance, LeaseRow, Mark, Node, Renewed, Seen};
use crate::store::{ApplyError, BanChange};

/// A group: changes that happen together or not at all.
#[derive(Clone, Debug)]
pub enum Change {
    /// Those of batches, in order. Without any, it shows that the holder lives.
    Batches(Vec<Arc<Batch>>),
    /// These letters go undelivered, and that is remembered; what was remembered before `forget_before` is
    /// forgotten, and so are suspensions that are over.
    Removal {
        /// The mailboxes and places of the letters.
        letters: Vec<(UserId, QueueId)>,
        /// What is older is forgotten; `None`: nothing.
        forget_before: Option<UnixTime>,
        /// The moment to remember.
        now: UnixTime,
    },
    /// These letters are damaged: they are kept beside the others, and go undelivered.
    SetAside {
        /// Their mailboxes and places.
        letters: Vec<(UserId, QueueId)>,
    },
    /// Another list of bans.
    Bans(BanChange),
    /// From now on it belongs to the server with this key.
    ServerKey(Digest, UnixTime),
    /// What is left of a user who was removed goes.
    Erasure(UserId),
}

/// A lease that is to be taken.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Who takes it.
    pub node: Node,
    /// The process that takes it.
    pub instance: Instance,
    /// What the row has to be for that.
    pub lease: LeaseRow,
    /// What the newest mark has to be for that.
    pub last: Mark,
}

/// A database that several servers can reach. Each call is one statement or one transaction.
///
/// [`ApplyError`] says what is known: `Refused` and `Away` that nothing has happened, `Fenced` that
/// the fence did not hold, and so nothing has happened either. Whatever has been given to the database and
/// was not answered for certain is `Unclear`. A success is one that no failover can take back.
pub trait Database {
    /// What is there. `witnessed` says which mark is looked for.
    ///
    /// # Errors
    /// When it cannot be read.
    fn look(&mut self, witnessed: Option<Mark>) -> Result<Seen, ApplyError>;

    /// Locks the row of the lease; then, in a second statement, looks whether everything is still as the
    /// claim says, and takes the lease. `None`: it is not.
    ///
    /// # Errors
    /// When the lease was not taken, or that is unclear.
    fn take(&mut self, claim: &Claim) -> Result<Option<Renewed>, ApplyError>;

    /// Raises the epoch of the row if it names this process; then, in a second statement, reads the newest
    /// mark: a statement that has waited for the row still sees what was there before. `None`: the row
    /// names another one. Never waits for long: while the answer is not there, it is to be called again.
    ///
    /// # Errors
    /// When this attempt is over without an answer. Another can be made.
    fn renew(&mut self, instance: Instance) -> Poll<Result<Option<Renewed>, ApplyError>>;

    /// The row names nobody any more, if it names this process.
    ///
    /// # Errors
    /// When that has not happened, or is unclear. Then the others wait for the whole lease.
    fn give_back(&mut self, instance: Instance) -> Result<(), ApplyError>;

    /// Locks the row of the lease; then, if the database lacks this mark or is doubtful already, makes it
    /// doubtful: nobody has the lease any more, and nobody may take it until an operator adopts the
    /// database. Says whether it is doubtful.
    ///
    /// # Errors
    /// When that has not happened, or is unclear.
    fn doubt(&mut self, witnessed: Option<Mark>) -> Result<bool, ApplyError>;

    /// Commits a group behind the fence.
    ///
    /// # Errors
    /// Says what is known of the group.
    fn change(&mut self, fence: &Fence, change: &Change) -> Result<(), ApplyError>;

    /// What a server machine starts from, read in a group: see [`super::super::Storage::load`].
    ///
    /// # Errors
    /// As [`Database::change`].
    fn load(&mut self, fence: &Fence, rested_before: UnixTime) -> Result<Snapshot, ApplyError>;

    /// What became of letters, read in a group: that a letter is gone means that it was delivered, and must
    /// not come from a database that has been replaced.
    ///
    /// # Errors
    /// As [`Database::change`].
    fn fates(
        &mut self,
        fence: &Fence,
        asker: UserId,
        letters: &[StatusQuery],
    ) -> Result<Vec<(PacketId, Status)>, ApplyError>;

    /// The answer to a question about the letters of a mailbox, or how full it is. Those that are damaged
    /// are named, and still there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&mut self, question: &Question) -> Result<Answer, ApplyError>;

    /// The letters that a question wants removed.
    ///
    /// # Errors
    /// When they cannot be read.
    fn to_remove(&mut self, question: &Question) -> Result<Vec<ExpiredLetter>, ApplyError>;
}

/// Where a server keeps, outside of the database, the last mark that it knows to be safe. It outlives the
/// process; the machine may lose what was written in the last second.
pub trait Witness: Send {
    /// What was witnessed.
    fn mark(&self) -> Option<Mark>;

    /// This is witnessed from now on.
    fn write(&mut self, mark: Mark);
}
