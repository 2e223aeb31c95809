//! The database as the lease and the groups ask it.

use std::task::Poll;

use tokio_postgres::types::Type;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::storage::{Answer, ExpiredLetter, Question, QueueId, Snapshot};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{Status, StatusQuery};

use super::fold::{Folded, pairs};
use super::session::{Row as Text, Sessions, is_true};
use super::statement::Statement;
use super::{ids, load, opening, reads};
use crate::clock;
use crate::store::shared::{
    Change, Claim, Database, Epoch, Fence, Instance, LeaseRow, Mark, Node, Renewed, Seen,
};
use crate::store::{ApplyError, BanChange};

/// What was read after the row was changed: a statement of its own sees all that came before.
const RENEWED: &str = "SELECT lease.epoch, marks.epoch, marks.grp FROM waxwing.lease, waxwing.marks \
    ORDER BY grp DESC LIMIT 1";

/// The way to the database.
pub struct Server {
    pub(super) sessions: Sessions,
    /// Nothing is brought or removed while the database names no synchronous standby.
    pub(super) needs_standby: bool,
}

fn nonsense(what: &str) -> ApplyError {
    ApplyError::Corrupt(format!("{what} of the database makes no sense"))
}

impl Database for Server {
    fn look(&mut self, witnessed: Option<Mark>) -> Result<Seen, ApplyError> {
        const LOOK: &str = "SELECT lease.epoch, lease.node, lease.instance, about.state, \
            (SELECT min(grp) FROM waxwing.marks WHERE grp >= last.grp - 1000), last.epoch, last.grp, before.epoch, before.grp, \
            noted.epoch, noted.grp, about.schema, about.min_reader, about.written_by \
            FROM waxwing.about CROSS JOIN waxwing.lease CROSS JOIN LATERAL \
                (SELECT grp, epoch FROM waxwing.marks ORDER BY grp DESC LIMIT 1) AS last \
            LEFT JOIN waxwing.marks AS before ON before.grp = last.grp - 1 \
            LEFT JOIN waxwing.marks AS noted ON noted.grp = $1";
        let group = witnessed.map(|mark| ids::group(mark.group));
        let rows = self
            .sessions
            .read(async |client| client.query_typed(LOOK, &[(&group, Type::INT8)]).await)?;
        let row = rows.first().ok_or_else(|| nonsense("the lease"))?;
        let state: &str = row.get(3);
        if let Some(why) = opening::not_to_serve(state) {
            return Err(ApplyError::Fatal(why.into()));
        }
        opening::expect_to_know(row.get(11), row.get(12), row.get(13))?;
        let mark = |at: usize| -> Result<Option<Mark>, ApplyError> {
            let (epoch, group) = (row.get::<_, Option<i64>>(at), row.get::<_, Option<i64>>(at + 1));
            epoch.zip(group).map(|(epoch, group)| ids::mark(epoch, group)).transpose()
        };
        let node: Option<Vec<u8>> = row.get(1);
        let instance: Option<Vec<u8>> = row.get(2);
        let holder = match (node, instance) {
            (Some(node), Some(instance)) => {
                let (node, instance) = (ids::number(&node)?, ids::number(&instance)?);
                Some((Node(node), Instance(instance)))
            }
            _ => None,
        };
        Ok(Seen {
            lease: LeaseRow { epoch: Epoch(ids::count(row.get(0))?), holder },
            last: mark(5)?.ok_or_else(|| nonsense("the last mark"))?,
            before_last: mark(7)?,
            oldest: ids::count(row.get(4))?,
            at_witnessed: mark(9)?,
            is_doubtful: state == "doubtful",
        })
    }

    fn take(&mut self, claim: &Claim) -> Result<Option<Renewed>, ApplyError> {
        let (node, instance) =
            (ids::hex(&ids::node(claim.node)), ids::hex(&ids::instance(claim.instance)));
        let begin = self.sessions.begin_locked();
        let holder = claim.lease.holder.map(|(_, instance)| ids::hex(&ids::instance(instance)));
        let holder = holder.as_deref().unwrap_or("NULL");
        let (Epoch(epoch), Mark { epoch: Epoch(last_epoch), group }) =
            (claim.lease.epoch, claim.last);
        let statements = format!(
            "{begin}; SELECT FROM waxwing.lease FOR UPDATE; \
             UPDATE waxwing.lease SET epoch = epoch + 1, node = {node}, instance = {instance} \
                WHERE epoch = {epoch} AND instance IS NOT DISTINCT FROM {holder} \
                AND (SELECT state FROM waxwing.about) = 'open' \
                AND (SELECT max(grp) FROM waxwing.marks) = {group} \
                AND (SELECT epoch FROM waxwing.marks WHERE grp = {group}) = {last_epoch}; \
             {RENEWED}; SELECT instance = {instance} FROM waxwing.lease; COMMIT"
        );
        taken(&self.sessions.lock(&statements)?)
    }

    fn renew(&mut self, instance: Instance) -> Poll<Result<Option<Renewed>, ApplyError>> {
        let begin = self.sessions.begin_locked();
        let rows = self.sessions.step(|| {
            let instance = ids::hex(&ids::instance(instance));
            format!(
                "{begin}; UPDATE waxwing.lease SET epoch = epoch + 1 WHERE instance = {instance}; \
                 {RENEWED}; SELECT instance = {instance} FROM waxwing.lease; COMMIT"
            )
        });
        rows.map(|rows| taken(&rows?))
    }

    fn give_back(&mut self, instance: Instance) -> Result<(), ApplyError> {
        let (begin, instance) = (self.sessions.begin_locked(), ids::hex(&ids::instance(instance)));
        let statements = format!(
            "{begin}; UPDATE waxwing.lease SET epoch = epoch + 1, node = NULL, instance = NULL \
                WHERE instance = {instance}; COMMIT"
        );
        self.sessions.lock(&statements).map(|_| ())
    }

    fn doubt(&mut self, witnessed: Option<Mark>) -> Result<bool, ApplyError> {
        let begin = self.sessions.begin_locked();
        // As `Seen::lacks` says. A number without a type is too short to be shifted so far.
        let lacks = witnessed.map_or("false".to_owned(), |Mark { epoch: Epoch(epoch), group }| {
            format!(
                "({epoch}::bigint >> 32) > (lease.epoch >> 32) \
                 OR ({epoch}::bigint >> 32) = (lease.epoch >> 32) AND {group} >= (SELECT min(grp) FROM waxwing.marks \
                    WHERE grp >= (SELECT max(grp) FROM waxwing.marks) - 1000) \
                 AND NOT EXISTS (SELECT FROM waxwing.marks WHERE grp = {group} AND epoch = {epoch})"
            )
        });
        let statements = format!(
            "{begin}; SELECT FROM waxwing.lease FOR UPDATE; \
             UPDATE waxwing.about SET state = 'doubtful' FROM waxwing.lease \
                WHERE state = 'doubtful' OR {lacks}; \
             UPDATE waxwing.lease SET epoch = epoch + 1, node = NULL, instance = NULL \
                WHERE (SELECT state FROM waxwing.about) = 'doubtful'; \
             SELECT state = 'doubtful' FROM waxwing.about; COMMIT"
        );
        Ok(is_true(self.sessions.lock(&statements)?.last()))
    }

    fn change(&mut self, fence: &Fence, change: &Change) -> Result<(), ApplyError> {
        let folded;
        let mut statement = match change {
            Change::Batches(batches) => {
                folded = Folded::of(batches)?;
                folded.statement(fence)?
            }
            Change::Removal { letters, forget_before, now } => {
                removal(fence, letters, *forget_before, *now)?
            }
            Change::SetAside { letters } => set_aside(fence, letters)?,
            other => operators_change(fence, other)?,
        };
        if self.needs_standby && !statement.is_empty() {
            statement.call("needs_standby_1");
        }
        self.sessions.run(async |client| statement.send(client).await)
    }

    fn load(&mut self, fence: &Fence, rested_before: UnixTime) -> Result<Snapshot, ApplyError> {
        let statement = Statement::new(fence, 0);
        let rows = self.sessions.run(async |client| {
            client.batch_execute("BEGIN").await?;
            statement.send(client).await?;
            let rows = load::rows(client, rested_before).await?;
            client.batch_execute("COMMIT").await?;
            Ok(rows)
        })?;
        rows.snapshot()
    }

    fn fates(
        &mut self,
        fence: &Fence,
        asker: UserId,
        letters: &[StatusQuery],
    ) -> Result<Vec<(PacketId, Status)>, ApplyError> {
        let mut statement = Statement::new(fence, 0);
        let recipients: Vec<_> = letters.iter().map(|query| ids::user(query.recipient)).collect();
        let message_ids: Vec<_> = letters.iter().map(|query| query.letter.0.to_vec()).collect();
        let rows = self.sessions.run(async |client| {
            let select = |given: &mut dyn FnMut(_) -> String| {
                let asker = given((Box::new(ids::user(asker)) as _, Type::INT4));
                let recipients = given((Box::new(recipients) as _, Type::INT4_ARRAY));
                let message_ids = given((Box::new(message_ids) as _, Type::BYTEA_ARRAY));
                format!(
                    "SELECT (SELECT bool_or(sender_id = {asker}) FROM waxwing.pending_messages \
                        WHERE recipient_id = asked.recipient AND message_id = asked.id), \
                     (SELECT bool_or(sender_id = {asker}) FROM waxwing.undelivered_messages \
                        WHERE recipient_id = asked.recipient AND message_id = asked.id) \
                     FROM fence, unnest({recipients}, {message_ids}) \
                        WITH ORDINALITY AS asked (recipient, id, number) ORDER BY number"
                )
            };
            statement.send_with(client, select).await
        })?;
        let fate = |(query, row): (&StatusQuery, &tokio_postgres::Row)| {
            // NULL when there is no such row, else whether it is the asker's.
            let status = match (row.get::<_, Option<bool>>(0), row.get::<_, Option<bool>>(1)) {
                (Some(true), _) => Status::Stored,
                (None, Some(true)) => Status::Expired,
                (Some(false), _) | (None, Some(false)) => Status::Unknown,
                (None, None) => Status::Delivered,
            };
            (query.letter, status)
        };
        Ok(letters.iter().zip(&rows).map(fate).collect())
    }

    fn read(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        match question {
            Question::Letters { recipient, after, max_letters, max_bytes } => {
                reads::letters(&mut self.sessions, *recipient, *after, *max_letters, *max_bytes)
            }
            Question::Usage { recipient } => reads::usage(&mut self.sessions, *recipient),
            _ => Err(ApplyError::Refused("a question that changes something".into())),
        }
    }

    fn to_remove(&mut self, question: &Question) -> Result<Vec<ExpiredLetter>, ApplyError> {
        reads::to_remove(&mut self.sessions, question)
    }
}

/// The row after it was taken or renewed, if it names who has done that.
fn taken(rows: &[Text]) -> Result<Option<Renewed>, ApplyError> {
    if !is_true(rows.last()) {
        return Ok(None);
    }
    let renewed = rows.iter().rev().nth(1).ok_or_else(|| nonsense("the lease"))?;
    let number = |at: usize| {
        let text = renewed.get(at).and_then(Option::as_deref);
        text.and_then(|text| text.parse().ok()).ok_or_else(|| nonsense("the lease"))
    };
    let last = Mark { epoch: Epoch(number(1)?), group: number(2)? };
    Ok(Some(Renewed { epoch: Epoch(number(0)?), last }))
}

fn removal<'p>(
    fence: &Fence,
    letters: &[(UserId, QueueId)],
    forget_before: Option<UnixTime>,
    now: UnixTime,
) -> Result<Statement<'p>, ApplyError> {
    let mut statement = Statement::new(fence, 0);
    if let Some(before) = forget_before {
        let call = statement.call("forget_1").with(before.as_seconds(), Type::INT8);
        call.with(now.as_seconds(), Type::INT8);
    }
    if !letters.is_empty() {
        let (recipients, places) = pairs(letters)?;
        let call = statement.call("take_out_1").with(recipients, Type::INT4_ARRAY);
        call.with(places, Type::INT8_ARRAY).with(now.as_seconds(), Type::INT8);
    }
    Ok(statement)
}

fn set_aside<'p>(
    fence: &Fence,
    letters: &[(UserId, QueueId)],
) -> Result<Statement<'p>, ApplyError> {
    let mut statement = Statement::new(fence, 0);
    let (recipients, places) = pairs(letters)?;
    let call = statement.call("set_aside_1").with(recipients, Type::INT4_ARRAY);
    call.with(places, Type::INT8_ARRAY).with(clock::unix_now().as_seconds(), Type::INT8);
    Ok(statement)
}

fn operators_change<'p>(fence: &Fence, change: &Change) -> Result<Statement<'p>, ApplyError> {
    let mut statement = Statement::new(fence, 0);
    match change {
        Change::Bans(BanChange::Add(ban)) => {
            let call = statement.call("add_ban_1").with(ban.range.to_string(), Type::TEXT);
            let call = call.with(ban.since.as_seconds(), Type::INT8);
            let call = call.with(ban.until.map(UnixTime::as_seconds), Type::INT8);
            call.with(ban.is_automatic, Type::BOOL).with(ban.reason.clone(), Type::TEXT);
        }
        Change::Bans(BanChange::Remove(range)) => {
            statement.call("remove_ban_1").with(range.to_string(), Type::TEXT);
        }
        Change::ServerKey(key, from) => {
            let call = statement.call("set_server_key_1").with(key.0.to_vec(), Type::BYTEA);
            call.with(from.as_seconds(), Type::INT8);
        }
        Change::Erasure(user) => {
            statement.call("erase_1").with(ids::user(*user), Type::INT4);
        }
        Change::Batches(_) | Change::Removal { .. } | Change::SetAside { .. } => {
            return Err(ApplyError::Refused("no change of an operator's".into()));
        }
    }
    Ok(statement)
}
