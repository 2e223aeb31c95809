//! Configuration: flags over environment over file over defaults.
//!
//! Every key exists once, as a field in `sections` and a line in the table of `keys`, from
//! which the reader, the example file and the hints about misspelt keys are made.

mod changes;
mod check;
mod control;
mod database;
mod directory;
mod keys;
mod kind;
mod layered;
mod named_file;
mod nearest;
mod program;
mod range;
mod registration;
mod sandbox;
mod sections;
mod source;
mod webhook;

use std::ffi::OsString;
use std::path::Path;

pub use changes::Changes;
pub(crate) use check::check_place_of_log;
pub use control::LONGEST_SOCKET_PATH;
pub(crate) use directory::{check as check_directory, check_answers, find as find_directory};
pub use kind::address::parse as parse_address;
pub use kind::duration::parse as parse_duration;
pub(crate) use kind::duration::show as show_duration;
pub use kind::parse_level;
pub use kind::size::parse as parse_size;
pub use layered::Layered;
pub use range::AddressRange;
pub use sections::{
    BackupConfig, CanaryConfig, ClusterConfig, Config, DeadlineConfig, DeliveryKind, ExecConfig,
    LetterConfig, Limits, LogConfig, LogFormat, LogLevel, OtpConfig, RegistrationConfig,
    ServerConfig, StorageConfig, WebhookConfig,
};
pub use webhook::{Header, WebhookRequest};

/// A configuration that cannot be used. Says where and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Where a server may be whose configuration has mistakes.
#[derive(Clone, Debug)]
pub struct Place {
    /// As far as it can be read.
    pub config: Config,
    /// Whether nothing that cannot be read could name another place for its control socket.
    pub is_known: bool,
}

/// A key given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// How the flag is called, for error messages.
    pub flag: &'static str,
    /// The key that it sets.
    pub key: &'static str,
    /// The value that it is set to, as text.
    pub value: String,
}

impl Config {
    /// Puts the layers together and checks the whole.
    ///
    /// # Errors
    /// When a layer cannot be read, names an unknown key or a value of the wrong kind, or when
    /// the whole makes no sense.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[Override],
    ) -> Result<Self, ConfigError> {
        Layered::load(&[], file, environment, flags).map(|layered| layered.config)
    }

    /// Where a server is, as far as layers with mistakes say so: all else is as it is by default.
    #[must_use]
    pub fn place_of_server(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[Override],
    ) -> Place {
        let mut layered = Layered::default();
        let is_whole = file.is_none_or(|path| source::place_in_file(path, &mut layered));
        source::place_in_environment(environment, &mut layered);
        // Each flag is set, or none is.
        let _ = source::flags(flags, &mut layered);
        let is_known = is_whole || layered.is_set("server.control");
        Place { config: layered.config, is_known }
    }

    /// Every key with its meaning, its default as TOML writes it, and when a change of it takes
    /// effect: a JSON object a line.
    #[must_use]
    pub fn keys_as_json() -> String {
        let defaults = Self::default();
        let line = |key: &keys::Key| {
            let range = key.range.as_ref().map(keys::Range::words);
            let default = (key.show)(&defaults);
            let object = serde_json::json!({
                "key": key.name, "about": key.about, "default": default, "range": range,
                "change": key.change.name(),
            });
            format!("{object}\n")
        };
        keys::KEYS.iter().map(line).collect()
    }

    /// A file that sets every key to its default and explains it.
    #[must_use]
    pub fn example() -> String {
        let defaults = Self::default();
        let mut text = String::from(
            "# Configuration of waxwing-server. All values here are the defaults: keep the lines\n\
             # that you change, and delete the rest. A flag, or an environment variable such\n\
             # as WAXWING_LOG__LEVEL, takes precedence over this file. What needs a restart, whenever\n\
             # the configuration is read again, says so.\n",
        );
        let mut section = "";
        for key in keys::KEYS {
            let (of, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
            if of != section {
                text.push_str(&format!("\n[{of}]\n"));
                section = of;
            }
            let range = key.range.as_ref().map(|range| format!(" From {}.", range.words()));
            let range = range.unwrap_or_default();
            let restart = match key.change {
                keys::Change::Restart => " Needs a restart.",
                keys::Change::Live => "",
            };
            let (about, default) = (key.about, (key.show)(&defaults));
            text.push_str(&format!("# {about}{restart}{range}\n{name} = {default}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests;
