//! An operator goes on with a database that has lost something.

use waxwing_core::id::UserId;

use super::server::Server;
use super::{PostgresOptions, admin, ids, opening, unreachable};
use crate::store::shared::{Database, Mark};
use crate::store::{ApplyError, Restoration, StorageError, free_ids};

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// Servers can use it. So many ids rest.
    Adopted(usize),
    /// It lacks nothing.
    Sound,
    /// So many ids are free, and all of them would rest.
    NoIdLeft {
        /// How many are free.
        free: usize,
    },
}

/// Servers may use the database as it is, if it lacks what was `witnessed`, or what another server knows.
///
/// # Errors
/// When it cannot be reached or changed.
pub fn adopt(
    options: &PostgresOptions,
    witnessed: Option<Mark>,
    restoration: &Restoration,
) -> Result<Adoption, StorageError> {
    let mut sessions = opening::connect(options)?;
    let (schema, state) = opening::about(&mut sessions)?.ok_or_else(|| {
        StorageError::Misplaced("there is nothing of a server in the database".into())
    })?;
    opening::expect_known(schema)?;
    if let Some(why) = opening::not_to_serve(&state) {
        return Err(StorageError::Misplaced(why.into()));
    }
    let mut server = Server { sessions, needs_standby: false };
    let seen = server.look(witnessed).map_err(unreachable)?;
    if !seen.is_doubtful && !witnessed.is_some_and(|witnessed| seen.lacks(witnessed)) {
        return Ok(Adoption::Sound);
    }
    let known = known_ids(&mut server).map_err(unreachable)?;
    let (free, count) = (free_ids::count(&known), restoration.resting_ids);
    if count > 0 && count >= free {
        return Ok(Adoption::NoIdLeft { free });
    }
    let resting: Vec<_> =
        free_ids::next(&known, count).iter().map(|id| id.get().to_string()).collect();
    let (begin, to_rest) = (server.sessions.begin_locked(), resting.join(","));
    let epoch = ids::epoch(seen.lease.epoch);
    let adopted = ids::epoch(seen.lease.epoch.adopted(witnessed));
    let (now, rest_from) = (restoration.now.as_seconds(), restoration.ids_rest_from.as_seconds());
    let missing_until = restoration.letters_missing_until.as_seconds();
    let statements = format!(
        "{begin}; SELECT waxwing.adopt_1({epoch}, {adopted}, '{{{to_rest}}}', {rest_from}, {now}, \
         {missing_until}); COMMIT"
    );
    match server.sessions.lock(&statements) {
        Ok(_) => Ok(Adoption::Adopted(resting.len())),
        Err(ApplyError::Fenced(_)) => Err(StorageError::Misplaced(
            "a server has begun to use the database meanwhile: stop all of them, and repeat the command".into(),
        )),
        Err(other) => Err(unreachable(other)),
    }
}

/// Ids of users, and ids that rest.
fn known_ids(server: &mut Server) -> Result<Vec<UserId>, ApplyError> {
    const KNOWN: &str =
        "SELECT user_id FROM waxwing.users UNION SELECT user_id FROM waxwing.resting_ids";
    let rows = admin::select(&mut server.sessions, KNOWN, &[])?;
    rows.iter().map(|row| ids::to_user(row.get(0))).collect()
}
