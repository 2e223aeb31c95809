//! Kinds of values: how each is read from TOML, or from the text of a flag or an environment
//! variable, and how it is written.

use std::path::PathBuf;

use toml::Value;

use super::{DeliveryKind, LogFormat, LogLevel};

/// `"250ms"`, `"1s"`, `"5m"`, `"1h"`, `"30d"`.
pub(super) mod duration {
    use std::time::Duration;

    use toml::Value;

    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

    pub(in super::super) fn read(value: &Value) -> Result<Duration, String> {
        parse(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// What is written with a number and a unit.
    ///
    /// # Errors
    /// Says how to write one.
    pub fn parse(text: &str) -> Result<Duration, String> {
        let (number, unit) = super::split_unit(text);
        let unit = UNITS.iter().find(|(name, _)| *name == unit);
        let millis = unit.zip(number.parse().ok()).and_then(|((_, unit), n)| unit.checked_mul(n));
        millis.map(Duration::from_millis).ok_or_else(|| {
            format!(
                "{text:?} is no duration: write a number and a unit, as in \
                 \"250ms\", \"1s\", \"5m\", \"1h\" or \"30d\""
            )
        })
    }

    pub(crate) fn show(value: &Duration) -> String {
        written(amount(value))
    }

    /// Milliseconds.
    pub(in super::super) fn amount(value: &Duration) -> u64 {
        u64::try_from(value.as_millis()).unwrap_or(u64::MAX)
    }

    pub(in super::super) fn written(millis: u64) -> String {
        super::with_unit(millis, &UNITS)
    }
}

/// `"64MiB"`, or a number of bytes.
pub(super) mod size {
    use toml::Value;

    const UNITS: [(&str, u64); 4] =
        [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

    pub(in super::super) fn read<T: TryFrom<u64>>(value: &Value) -> Result<T, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        parse(&text)
    }

    /// What is written with a number and perhaps a unit.
    ///
    /// # Errors
    /// Says how to write one.
    pub fn parse<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
        let (number, unit) = super::split_unit(text);
        let unit = if unit.is_empty() { "B" } else { unit };
        let unit = UNITS.iter().find(|(name, _)| *name == unit);
        let bytes = unit.zip(number.parse().ok()).and_then(|((_, unit), n)| unit.checked_mul(n));
        bytes.and_then(|bytes| T::try_from(bytes).ok()).ok_or_else(|| {
            format!("{text:?} is no size: write bytes, or as in \"60KiB\", \"64MiB\" or \"1GiB\"")
        })
    }

    pub(in super::super) fn show<T: TryInto<u64> + Copy>(value: &T) -> String {
        written(amount(value))
    }

    /// Bytes.
    pub(in super::super) fn amount<T: TryInto<u64> + Copy>(value: &T) -> u64 {
        (*value).try_into().unwrap_or(u64::MAX)
    }

    pub(in super::super) fn written(bytes: u64) -> String {
        super::with_unit(bytes, &UNITS)
    }
}

/// A number of things.
pub(super) mod count {
    use std::fmt::Display;

    use toml::Value;

    pub(in super::super) fn read<T: TryFrom<i64>>(value: &Value) -> Result<T, String> {
        let number = match value {
            Value::Integer(number) => Some(*number),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("{value} is no number that fits here"))
    }

    pub(in super::super) fn show<T: Display>(value: &T) -> String {
        value.to_string()
    }

    pub(in super::super) fn amount<T: TryInto<u64> + Copy>(value: &T) -> u64 {
        (*value).try_into().unwrap_or(u64::MAX)
    }

    pub(in super::super) fn written(number: u64) -> String {
        number.to_string()
    }
}

/// `true` or `false`.
pub(super) mod flag {
    use toml::Value;

    pub(in super::super) fn read(value: &Value) -> Result<bool, String> {
        match value {
            Value::Boolean(flag) => Some(*flag),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| format!("{value} is neither true nor false"))
    }

    pub(in super::super) fn show(value: &bool) -> String {
        value.to_string()
    }
}

/// Text that something can be parsed from.
pub(super) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use toml::Value;

    pub(in super::super) fn read<T: FromStr<Err: Display>>(value: &Value) -> Result<T, String> {
        let text = value.as_str().ok_or_else(|| format!("{value} is no text in quotes"))?;
        text.parse().map_err(|error| format!("{text:?}: {error}"))
    }

    pub(in super::super) fn show<T: Display>(value: &T) -> String {
        Value::String(value.to_string()).to_string()
    }
}

/// An IP address with a port.
pub(super) mod address {
    use std::net::{IpAddr, SocketAddr};

    use toml::Value;

    pub(in super::super) fn read(value: &Value) -> Result<SocketAddr, String> {
        let text = value.as_str().ok_or_else(|| format!("{value} is no text in quotes"))?;
        parse(text)
    }

    pub(in super::super) fn show(value: &SocketAddr) -> String {
        super::text::show(value)
    }

    /// What is written with an IP address and a port. Names are not looked up: what a name means
    /// may change from one start to the next. An IPv4 address in IPv6 clothes is an IPv4 address.
    ///
    /// # Errors
    /// When it is something else; says how to write it.
    pub fn parse(text: &str) -> Result<SocketAddr, String> {
        text.parse().map(canonical).map_err(|_| {
            format!(
                "{text:?}: write an IP address and a port, as in 127.0.0.1:9295, [::1]:9295, or \
                 0.0.0.0:9295 for every network; names such as localhost are not looked up"
            )
        })
    }

    fn canonical(address: SocketAddr) -> SocketAddr {
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
            // Its scope stays.
            IpAddr::V6(_) => address,
        }
    }
}

pub(super) mod addresses;

/// The same, or nothing: empty text.
pub(super) mod address_or_none {
    use std::net::SocketAddr;

    use toml::Value;

    pub(in super::super) fn read(value: &Value) -> Result<Option<SocketAddr>, String> {
        if value.as_str().is_some_and(str::is_empty) {
            return Ok(None);
        }
        super::address::read(value).map(Some)
    }

    pub(in super::super) fn show(value: &Option<SocketAddr>) -> String {
        value.as_ref().map_or_else(|| super::text::show(&""), super::address::show)
    }
}

/// Several texts: an array in the file, separated by commas elsewhere.
pub(super) mod list {
    use std::fmt::Display;
    use std::str::FromStr;

    use toml::Value;

    pub(in super::super) fn read<T: FromStr<Err: Display>>(
        value: &Value,
    ) -> Result<Vec<T>, String> {
        match value {
            Value::Array(values) => values.iter().map(super::text::read).collect(),
            Value::String(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| item.parse().map_err(|error: T::Err| error.to_string()))
                .collect(),
            _ => Err(format!("{value} is no list")),
        }
    }

    pub(in super::super) fn show<T: Display>(values: &[T]) -> String {
        Value::Array(values.iter().map(|value| Value::String(value.to_string())).collect())
            .to_string()
    }
}

/// The same, of texts that may be secret: a message does not show them. What `Debug` says of one may be
/// shown.
pub(super) mod secret_list {
    use std::fmt::{Debug, Display};
    use std::str::FromStr;

    use toml::Value;

    pub(in super::super) fn read<T: FromStr<Err: Display>>(
        value: &Value,
    ) -> Result<Vec<T>, String> {
        let texts: Vec<String> = super::list::read(value)?;
        let parse = |(number, text): (usize, &String)| {
            text.parse().map_err(|error| format!("entry {number}: {error}"))
        };
        (1..).zip(&texts).map(parse).collect()
    }

    pub(in super::super) fn show<T: Debug>(values: &[T]) -> String {
        Value::Array(values.iter().map(|value| format!("{value:?}").into()).collect()).to_string()
    }
}

mod hidden;
pub(super) use hidden::{arguments, body};

pub(super) mod url;

/// The path of a file or directory.
pub(super) mod path {
    use super::{PathBuf, Value};

    pub(in super::super) fn read(value: &Value) -> Result<PathBuf, String> {
        value.as_str().map(PathBuf::from).ok_or_else(|| format!("{value} is no path in quotes"))
    }

    pub(in super::super) fn show(value: &std::path::Path) -> String {
        Value::String(value.display().to_string()).to_string()
    }
}

/// One of a few names.
pub(super) mod choice {
    use super::{Choice, Value};

    pub(in super::super) fn read<T: Choice>(value: &Value) -> Result<T, String> {
        let found = value.as_str().and_then(|text| T::ALL.iter().find(|(name, _)| *name == text));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = T::ALL.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            format!("{value} is none of {}", names.join(", "))
        })
    }

    pub(in super::super) fn show<T: Choice>(value: &T) -> String {
        let name = T::ALL.iter().find(|(_, choice)| choice == value).map_or("", |(name, _)| name);
        format!("\"{name}\"")
    }
}

/// The same, or nothing: empty text.
pub(super) mod choice_or_none {
    use super::{Choice, Value};

    pub(in super::super) fn read<T: Choice>(value: &Value) -> Result<Option<T>, String> {
        if value.as_str().is_some_and(str::is_empty) {
            return Ok(None);
        }
        super::choice::read(value).map(Some)
    }

    pub(in super::super) fn show<T: Choice>(value: &Option<T>) -> String {
        value.as_ref().map_or_else(|| super::text::show(&""), super::choice::show)
    }
}

/// A type whose values have names.
pub(super) trait Choice: Copy + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];
}

impl Choice for DeliveryKind {
    const ALL: &'static [(&'static str, Self)] = &[
        ("in-band", Self::InBand),
        ("console", Self::Console),
        ("exec", Self::Exec),
        ("webhook", Self::Webhook),
    ];
}

impl DeliveryKind {
    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl Choice for LogLevel {
    const ALL: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// How much goes to the log, by its name.
///
/// # Errors
/// Says which names there are.
pub fn parse_level(text: &str) -> Result<LogLevel, String> {
    choice::read(&Value::String(text.into()))
}

impl Choice for LogFormat {
    const ALL: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

fn split_unit(text: &str) -> (&str, &str) {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    (number, unit.trim_start())
}

/// With the largest unit that leaves no rest.
fn with_unit(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, unit): &&(&str, u64)| value.is_multiple_of(*unit) && (value > 0 || *unit == 1);
    let (name, unit) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    format!("\"{}{name}\"", value / unit)
}
