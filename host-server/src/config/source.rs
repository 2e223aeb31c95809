//! The layers, each applied over the ones below it.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use toml::{Table, Value};

use super::keys::{self, KEYS};
use super::{ConfigError, Layered, Override, named_file, nearest};

const PREFIX: &str = "WAXWING_";
const ALL_KEYS: &str = "`waxwing-server config example` prints all that there are";
/// Bytes of a file.
const LARGEST: usize = 1 << 20;

pub(super) fn file(path: &Path, layered: &mut Layered) -> Result<(), ConfigError> {
    let place = path.display().to_string();
    let text = read(path).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => {
                "; `waxwing-server config example` prints a file that can be put there"
            }
            _ => "",
        };
        ConfigError(format!("{place}: the configuration cannot be read: {error}{hint}"))
    })?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        ConfigError(format!("{place}: {}", mistake(&text, &error)))
    })?;
    section(&place, "", &table, layered)
}

/// What is no TOML, and where. The line itself is not shown: it may hold a secret, and this goes to the
/// log and to the service manager.
fn mistake(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let (line, begun) = (before.matches('\n').count() + 1, before.rsplit('\n').next());
    let column = begun.unwrap_or_default().chars().count() + 1;
    format!("TOML parse error at line {line}, column {column}: {}", error.message().trim_end())
}

/// The text of the file.
fn read(path: &Path) -> io::Result<String> {
    // It says which program is given the codes, and what strangers may do.
    let wrong = |metadata: &Metadata| {
        let everybody_can = metadata.mode() & 0o002 != 0;
        everybody_can.then(|| format!("everybody can change it; run: chmod o-w {}", path.display()))
    };
    named_file::text(path, LARGEST, wrong)
}

/// The settings by which commands find a server.
const PLACE: [&str; 2] = ["server.data", "server.control"];

/// Sets them, as far as they can be read: what stands before the first mistake counts. Whether all of the file could
/// be read.
pub(super) fn place_in_file(path: &Path, layered: &mut Layered) -> bool {
    let Ok(text) = read(path) else { return false };
    let whole = text.parse::<Table>();
    let is_whole = whole.is_ok();
    let table = whole.or_else(|error| {
        let mistake = error.span().map_or(0, |span| span.start.min(text.len()));
        let lines = text.get(..mistake).and_then(|before| before.rfind('\n'));
        text.get(..lines.unwrap_or(0)).unwrap_or_default().parse()
    });
    let Ok(table) = table else { return false };
    for name in PLACE {
        let mut keys = name.split('.');
        let section = keys.next().and_then(|section| table.get(section));
        if let Some(value) = section.zip(keys.next()).and_then(|(section, key)| section.get(key)) {
            let _ = set("", name, value, layered);
        }
    }
    is_whole
}

/// The same for what the environment says.
pub(super) fn place_in_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    layered: &mut Layered,
) {
    for (variable, value) in variables {
        for name in PLACE {
            let ours = format!("{PREFIX}{}", name.replace('.', "__").to_ascii_uppercase());
            if variable.to_str() == Some(&ours)
                && let Some(value) = value.to_str()
            {
                let _ = set("", name, &Value::String(value.into()), layered);
            }
        }
    }
}

fn section(
    place: &str,
    name: &str,
    table: &Table,
    layered: &mut Layered,
) -> Result<(), ConfigError> {
    for (key, value) in table {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        match value {
            // What is in a misspelt section tells best what was meant.
            Value::Table(inner) if is_section(&name) || !inner.is_empty() => {
                section(place, &name, inner, layered)?;
            }
            Value::Table(_) => {
                let no_section = no_section(&name);
                return Err(ConfigError(format!("{place}: {no_section}")));
            }
            _ if is_section(&name) => {
                return Err(ConfigError(format!("{place}: `{name}` is a section, not a key")));
            }
            _ => set(place, &name, value, layered)?,
        }
    }
    Ok(())
}

/// That a key does not exist, and what may have been meant.
fn no_key(name: &str) -> String {
    if let Some(meant) = nearest::key(name, KEYS.iter().map(|key| key.name)) {
        return format!("there is no key `{name}`; did you mean `{meant}`?");
    }
    match name.rsplit_once('.') {
        Some((section, _)) if !is_section(section) => no_section(section),
        _ => format!("there is no key `{name}`; {ALL_KEYS}"),
    }
}

/// The same of a section.
fn no_section(name: &str) -> String {
    match nearest::section(name, sections()) {
        Some(meant) => format!("there is no section [{name}]; did you mean [{meant}]?"),
        None => format!("there is no section [{name}]; {ALL_KEYS}"),
    }
}

fn sections() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(|key| key.name.rsplit_once('.')).map(|(section, _)| section)
}

fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}

pub(super) fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    layered: &mut Layered,
) -> Result<(), ConfigError> {
    let mut ours = Vec::new();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else { continue };
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        if key.contains("__") {
            ours.push((key.replace("__", ".").to_ascii_lowercase(), name, value));
        } else if let Some(meant) = without_underscores_meant(key) {
            return Err(ConfigError(format!(
                "environment variable {name} is none of ours; did you mean {meant}?"
            )));
        }
        // Other names without `__` are other things' names.
    }
    ours.sort();
    for (key, name, value) in ours {
        let place = format!("environment variable {name}");
        let text = value
            .into_string()
            .map_err(|_| ConfigError(format!("{place} holds bytes that are no UTF-8 text")))?;
        set(&place, &key, &Value::String(text), layered)?;
    }
    Ok(())
}

/// The variable that has the same letters.
fn without_underscores_meant(wrong: &str) -> Option<String> {
    let letters = |name: &str| name.replace(['.', '_'], "").to_ascii_lowercase();
    let key = KEYS.iter().find(|key| letters(key.name) == letters(wrong))?;
    Some(format!("{PREFIX}{}", key.name.replace('.', "__").to_ascii_uppercase()))
}

pub(super) fn flags(overrides: &[Override], layered: &mut Layered) -> Result<(), ConfigError> {
    for Override { flag, key, value } in overrides {
        set(flag, key, &Value::String(value.clone()), layered)?;
    }
    Ok(())
}

fn set(place: &str, name: &str, value: &Value, layered: &mut Layered) -> Result<(), ConfigError> {
    let Some(key) = keys::find(name) else {
        return Err(ConfigError(format!("{place}: {}", no_key(name))));
    };
    layered.set(place, key, value).map_err(|why| ConfigError(format!("{place}: {why}")))
}
