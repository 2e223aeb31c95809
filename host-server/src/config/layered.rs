//! A configuration, and which layer each of its values comes from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;

use serde_json::json;
use toml::{Table, Value};

use super::keys::{KEYS, Key};
use super::{Config, ConfigError, Override, source};

/// The defaults, with layers over them.
#[derive(Clone, Debug, Default)]
pub struct Layered {
    /// What they come to.
    pub config: Config,
    /// The layer of each setting that has its value from one. All others have their defaults.
    origins: BTreeMap<&'static str, String>,
}

impl Layered {
    /// Puts the layers together and checks the whole. What `flags_below` set counts only where neither
    /// file nor environment sets it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(
        flags_below: &[Override],
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[Override],
    ) -> Result<Self, ConfigError> {
        let mut layered = Self::default();
        source::flags(flags_below, &mut layered)?;
        if let Some(path) = file {
            source::file(path, &mut layered)?;
        }
        source::environment(environment, &mut layered)?;
        source::flags(flags, &mut layered)?;
        layered.config.check()?;
        Ok(layered)
    }

    /// Gives a setting the value that a layer has for it.
    pub(super) fn set(&mut self, layer: &str, key: &Key, value: &Value) -> Result<(), String> {
        key.set(&mut self.config, value)?;
        self.origins.insert(key.name, layer.into());
        Ok(())
    }

    /// Whether a layer has a value for the setting with this name.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.origins.contains_key(name)
    }

    fn origin(&self, key: &Key) -> &str {
        self.origins.get(key.name).map_or("default", String::as_str)
    }

    /// Whether something of a value is not shown, because it may be secret.
    fn is_masked(&self, key: &Key) -> bool {
        let mut read = Config::default();
        let line = format!("value = {}", (key.show)(&self.config)).parse::<Table>();
        let value = line.ok().and_then(|mut line| line.remove("value"));
        let is_read = value.is_some_and(|value| key.set(&mut read, &value).is_ok());
        !is_read || (key.differs)(&read, &self.config)
    }

    /// A configuration file with every setting, and with the layer of each if `with_origins`. A value
    /// that has a secret in it stands in a remark, without the secret.
    #[must_use]
    pub fn to_toml(&self, with_origins: bool) -> String {
        let (mut text, mut section) = (String::new(), "");
        for key in KEYS {
            let (of, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
            if of != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}[{of}]");
                section = of;
            }
            let value = (key.show)(&self.config);
            // A remark is one line, whatever stands in the name of a file or in a URL.
            let _ = match self.is_masked(key) {
                false => write!(text, "{name} = {value}"),
                true => write!(text, "# Not shown with its secret: {name} = {}", in_line(&value)),
            };
            if with_origins {
                let _ = write!(text, " # {}", in_line(self.origin(key)));
            }
            text.push('\n');
        }
        text
    }

    /// The same: a JSON object a line. `masked` says whether a secret was left out of the value.
    #[must_use]
    pub fn to_json(&self) -> String {
        let line = |key: &Key| {
            let object = json!({
                "key": key.name, "value": (key.show)(&self.config), "masked": self.is_masked(key),
                "origin": self.origin(key),
            });
            format!("{object}\n")
        };
        KEYS.iter().map(line).collect()
    }
}

/// With control characters written out.
fn in_line(text: &str) -> String {
    let written = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(written).collect()
}
