//! What differs between two configurations, and what of it a running server can take.

use super::Config;
use super::keys::{Change, KEYS, Key};

/// The names of settings that differ between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that a running server takes.
    pub live: Vec<&'static str>,
    /// Those that need a restart.
    pub restart: Vec<&'static str>,
}

impl Changes {
    /// From one configuration to another.
    #[must_use]
    pub fn between(before: &Config, after: &Config) -> Self {
        let differs = |key: &&Key| (key.differs)(before, after);
        let mut changes = Self::default();
        for Key { name, change, .. } in KEYS.iter().filter(differs) {
            match change {
                Change::Live => changes.live.push(name),
                Change::Restart => changes.restart.push(name),
            }
        }
        changes
    }
}

impl Config {
    /// The same, but for the settings that need a restart: they are as in the configuration of the
    /// start.
    #[must_use]
    pub fn as_started_with(mut self, start: &Self) -> Self {
        for key in KEYS.iter().filter(|key| key.change == Change::Restart) {
            (key.copy)(&mut self, start);
        }
        self
    }
}
