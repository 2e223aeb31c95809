//! The homes of a person, each with its courier: one from the start, the others once a program names them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Office, Options};
use crate::accounts::{self, Accounts};
use crate::exit::Failure;
use crate::home::Home;

/// The offices that programs are served in.
pub(super) struct Offices {
    options: Options,
    /// That of the account that is meant when none is named.
    pub(super) usual: Arc<Office>,
    others: Mutex<BTreeMap<String, Arc<Office>>>,
}

impl Offices {
    pub(super) fn open(options: Options) -> Result<Self, Failure> {
        let usual = Arc::new(Office::open(options.clone())?);
        Ok(Self { options, usual, others: Mutex::default() })
    }

    fn others(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Office>>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The office of an account.
    ///
    /// # Errors
    /// [`Failure`] when there is no such account, nobody is registered in it, or its home does not work.
    pub(super) fn of(&self, account: &str) -> Result<Arc<Office>, Failure> {
        accounts::check_name(account).map_err(Failure::Usage)?;
        let all = Accounts::of_user()?;
        let dir = all.home_of(account);
        if dir == self.options.dir {
            return Ok(self.usual.clone());
        }
        let mut others = self.others();
        if let Some(office) = others.get(account) {
            return Ok(office.clone());
        }
        if !all.has(account) {
            return Err(Failure::Config(format!(
                "there is no account {account}; `waxwing accounts list` shows those that there are"
            )));
        }
        let identity = Home::open(&dir)?.identity()?;
        if identity.is_none_or(|identity| identity.user_id().is_none()) {
            return Err(Failure::not_registered());
        }
        let office = Arc::new(Office::open(Options { dir, ..self.options.clone() })?);
        others.insert(account.to_owned(), office.clone());
        Ok(office)
    }

    /// Lets letters go out, in each home as long as that gets on.
    pub(super) fn settle(&self) -> Result<(), Failure> {
        let others: Vec<_> = self.others().values().cloned().collect();
        others.iter().chain([&self.usual]).try_for_each(|office| office.settle())
    }

    /// Ends the connections, and says why the usual courier has ended if that was by itself.
    pub(super) fn leave(&self) -> Result<(), Failure> {
        for office in self.others().values() {
            // Programs in it have been told by their clerks.
            let _ = office.leave();
        }
        self.usual.leave()
    }
}
