//! The writes of a group, by kind: of several about the same thing the last one counts, and a letter that
//! comes and goes within the group never leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_postgres::types::Type;
use waxwing_core::id::UserId;
use waxwing_core::server::storage::{
    AllowanceKey, Batch, OwnLimits, PendingLetter, QueueId, WrappedKey, Write,
};
use waxwing_core::time::{Timestamp, UnixTime};

use super::ids;
use super::statement::Statement;
use crate::store::shared::Fence;
use crate::store::{ApplyError, letter};

/// Since when somebody is suspended, until when, and why.
type Suspended<'b> = (UnixTime, Option<UnixTime>, &'b str);

#[derive(Default)]
pub(super) struct Folded<'b> {
    created: BTreeMap<UserId, (&'b str, &'b [u8])>,
    confirmed: BTreeMap<UserId, (&'b WrappedKey, Timestamp)>,
    letters: BTreeMap<QueueId, &'b Arc<PendingLetter>>,
    last_place: QueueId,
    deleted: Vec<(UserId, QueueId)>,
    /// `None`: nothing is taken of it.
    allowances: BTreeMap<AllowanceKey, Option<UnixTime>>,
    /// `None`: not any more.
    suspended: BTreeMap<UserId, Option<Suspended<'b>>>,
    limits: BTreeMap<UserId, OwnLimits>,
    removed: BTreeMap<UserId, UnixTime>,
}

fn refused(why: impl Into<String>) -> ApplyError {
    ApplyError::Refused(why.into())
}

impl<'b> Folded<'b> {
    pub(super) fn of(batches: &'b [Arc<Batch>]) -> Result<Self, ApplyError> {
        let mut folded = Self::default();
        for write in batches.iter().flat_map(|batch| &batch.writes) {
            folded.add(write)?;
        }
        Ok(folded)
    }

    fn add(&mut self, write: &'b Write) -> Result<(), ApplyError> {
        match write {
            Write::CreateUser { id, phone, spki } => {
                let new = (phone.as_str(), spki.as_bytes().as_slice());
                // Removals are carried out last.
                if !self.removed.is_empty() || self.created.insert(*id, new).is_some() {
                    return Err(refused("a user is created after another was removed, or twice"));
                }
            }
            Write::ConfirmSession { user, session_key, last_seen } => {
                self.confirmed.insert(*user, (session_key, *last_seen));
            }
            Write::InsertLetter(letter) => {
                self.last_place = self.last_place.max(letter.queue_id);
                if self.letters.insert(letter.queue_id, letter).is_some() {
                    return Err(refused(format!("{letter:?} is not a new letter")));
                }
            }
            Write::DeleteLetters { recipient, letters } => {
                for place in letters {
                    let is_new = |letter: &&Arc<PendingLetter>| letter.recipient == *recipient;
                    if self.letters.get(place).is_some_and(is_new) {
                        self.letters.remove(place);
                    } else {
                        self.deleted.push((*recipient, *place));
                    }
                }
            }
            Write::KeepAllowances(allowances) => {
                let kept = allowances.iter().map(|one| (one.key, Some(one.full_at)));
                self.allowances.extend(kept);
            }
            Write::ForgetAllowances(keys) => {
                self.allowances.extend(keys.iter().map(|key| (*key, None)));
            }
            Write::RemoveUser { user, now } => {
                if self.removed.insert(*user, *now).is_some() {
                    return Err(refused(format!("there is no {user:?}")));
                }
            }
            Write::Suspend { user, until, reason, now } => {
                self.suspended.insert(*user, Some((*now, *until, reason)));
            }
            Write::Resume { user } => {
                self.suspended.insert(*user, None);
            }
            Write::SetLimits { user, limits } => {
                self.limits.insert(*user, *limits);
            }
        }
        Ok(())
    }

    /// All of it as one statement.
    pub(super) fn statement(&self, fence: &Fence) -> Result<Statement<'b>, ApplyError> {
        let mut statement = Statement::new(fence, ids::place(self.last_place)?);
        self.users(&mut statement);
        // What is deleted was there before.
        self.delete_letters(&mut statement)?;
        self.insert_letters(&mut statement)?;
        self.allowances(&mut statement);
        self.operators_wishes(&mut statement);
        Ok(statement)
    }

    fn users(&self, statement: &mut Statement<'b>) {
        if !self.created.is_empty() {
            let users: Vec<_> = self.created.keys().map(|user| ids::user(*user)).collect();
            let phones: Vec<_> = self.created.values().map(|(phone, _)| *phone).collect();
            let spkis: Vec<_> = self.created.values().map(|(_, spki)| *spki).collect();
            let call = statement.call("create_users_1").with(users, Type::INT4_ARRAY);
            call.with(phones, Type::TEXT_ARRAY).with(spkis, Type::BYTEA_ARRAY);
        }
        if !self.confirmed.is_empty() {
            let users: Vec<_> = self.confirmed.keys().map(|user| ids::user(*user)).collect();
            let keys: Vec<_> = self.confirmed.values().map(|(key, _)| key.as_slice()).collect();
            let seen: Vec<_> =
                self.confirmed.values().map(|(_, seen)| seen.as_str().to_owned()).collect();
            let call = statement.call("confirm_1").with(users, Type::INT4_ARRAY);
            call.with(keys, Type::BYTEA_ARRAY).with(seen, Type::TEXT_ARRAY);
        }
    }

    fn insert_letters(&self, statement: &mut Statement<'b>) -> Result<(), ApplyError> {
        if self.letters.is_empty() {
            return Ok(());
        }
        let all = || self.letters.values();
        let columns = |letter: &&'b Arc<PendingLetter>| {
            letter::columns(letter)
                .ok_or_else(|| refused(format!("{letter:?} is not the packet that it says")))
        };
        let columns: Vec<_> = all().map(columns).collect::<Result<_, _>>()?;
        let places: Vec<_> =
            all().map(|letter| ids::place(letter.queue_id)).collect::<Result<_, _>>()?;
        let message_ids: Vec<_> = all().map(|letter| letter.id.0.as_slice()).collect();
        let senders: Vec<_> = all().map(|letter| ids::user(letter.sender)).collect();
        let recipients: Vec<_> = all().map(|letter| ids::user(letter.recipient)).collect();
        let timestamps: Vec<_> =
            columns.iter().map(|columns| columns.timestamp.as_str().to_owned()).collect();
        let accepted: Vec<_> = all().map(|letter| letter.accepted_at.as_seconds()).collect();
        let signatures: Vec<_> =
            columns.iter().map(|columns| columns.signature.as_slice()).collect();
        let payloads: Vec<_> = columns.iter().map(|columns| columns.payload).collect();
        statement
            .call("insert_letters_1")
            .with(places, Type::INT8_ARRAY)
            .with(message_ids, Type::BYTEA_ARRAY)
            .with(senders, Type::INT4_ARRAY)
            .with(recipients, Type::INT4_ARRAY)
            .with(timestamps, Type::TEXT_ARRAY)
            .with(accepted, Type::INT8_ARRAY)
            .with(signatures, Type::BYTEA_ARRAY)
            .with(payloads, Type::BYTEA_ARRAY);
        Ok(())
    }

    fn delete_letters(&self, statement: &mut Statement<'b>) -> Result<(), ApplyError> {
        if self.deleted.is_empty() {
            return Ok(());
        }
        let (recipients, places) = pairs(&self.deleted)?;
        let call = statement.call("delete_letters_1").with(recipients, Type::INT4_ARRAY);
        call.with(places, Type::INT8_ARRAY);
        Ok(())
    }

    fn allowances(&self, statement: &mut Statement<'b>) {
        let (mut kept, mut forgotten) = ((Vec::new(), Vec::new()), Vec::new());
        for (key, full_at) in &self.allowances {
            match full_at {
                Some(full_at) => {
                    kept.0.push(key.0.to_vec());
                    kept.1.push(full_at.as_seconds());
                }
                None => forgotten.push(key.0.to_vec()),
            }
        }
        if !kept.0.is_empty() {
            let call = statement.call("keep_allowances_1").with(kept.0, Type::BYTEA_ARRAY);
            call.with(kept.1, Type::INT8_ARRAY);
        }
        if !forgotten.is_empty() {
            statement.call("forget_allowances_1").with(forgotten, Type::BYTEA_ARRAY);
        }
    }

    fn operators_wishes(&self, statement: &mut Statement<'b>) {
        let suspended =
            self.suspended.iter().filter_map(|(user, kept)| kept.map(|kept| (user, kept)));
        let suspended: Vec<_> = suspended.collect();
        if !suspended.is_empty() {
            let users: Vec<_> = suspended.iter().map(|(user, _)| ids::user(**user)).collect();
            let since: Vec<_> = suspended.iter().map(|(_, kept)| kept.0.as_seconds()).collect();
            let until: Vec<_> =
                suspended.iter().map(|(_, kept)| kept.1.map(UnixTime::as_seconds)).collect();
            let reasons: Vec<_> = suspended.iter().map(|(_, kept)| kept.2).collect();
            let call = statement.call("suspend_1").with(users, Type::INT4_ARRAY);
            let call = call.with(since, Type::INT8_ARRAY).with(until, Type::INT8_ARRAY);
            call.with(reasons, Type::TEXT_ARRAY);
        }
        let resumed = self.suspended.iter().filter(|(_, kept)| kept.is_none());
        let resumed: Vec<_> = resumed.map(|(user, _)| ids::user(*user)).collect();
        if !resumed.is_empty() {
            statement.call("resume_1").with(resumed, Type::INT4_ARRAY);
        }
        if !self.limits.is_empty() {
            let users: Vec<_> = self.limits.keys().map(|user| ids::user(*user)).collect();
            let letters: Vec<_> =
                self.limits.values().map(|limits| limits.letters.map(i64::from)).collect();
            let bytes = |limits: &OwnLimits| {
                limits.bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
            };
            let bytes: Vec<_> = self.limits.values().map(bytes).collect();
            let call = statement.call("set_limits_1").with(users, Type::INT4_ARRAY);
            call.with(letters, Type::INT8_ARRAY).with(bytes, Type::INT8_ARRAY);
        }
        if !self.removed.is_empty() {
            let users: Vec<_> = self.removed.keys().map(|user| ids::user(*user)).collect();
            let at: Vec<_> = self.removed.values().map(|at| at.as_seconds()).collect();
            let call = statement.call("remove_users_1").with(users, Type::INT4_ARRAY);
            call.with(at, Type::INT8_ARRAY);
        }
    }
}

/// Letters by mailbox and place, as two columns.
pub(super) fn pairs(letters: &[(UserId, QueueId)]) -> Result<(Vec<i32>, Vec<i64>), ApplyError> {
    let recipients = letters.iter().map(|(user, _)| ids::user(*user)).collect();
    let places = letters.iter().map(|(_, place)| ids::place(*place)).collect::<Result<_, _>>()?;
    Ok((recipients, places))
}
