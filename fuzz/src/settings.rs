//! The server's configuration, key by key, against a model that knows what each key takes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use waxwing_core::phone::PhonePrefix;
use waxwing_core_fuzz::readable::Form;
use waxwing_server::config::{
    AddressRange, Config, ConfigError, DeliveryKind, Header, LogFormat, LogLevel, Override,
};

use crate::Reached;
use waxwing_core_fuzz::input::Input;

/// Settings of one input, at most.
const SETTINGS: usize = 12;

/// What a key takes, and where it stands.
#[derive(Clone, Copy)]
enum Takes {
    /// One of them, or several.
    Addresses(fn(&mut Config) -> &mut Vec<SocketAddr>),
    /// One, or nothing.
    AddressOrNone(fn(&mut Config) -> &mut Option<SocketAddr>),
    Path(fn(&mut Config) -> &mut PathBuf),
    Text(fn(&mut Config) -> &mut String),
    Flag(fn(&mut Config) -> &mut bool),
    /// From so many milliseconds to so many.
    Duration(u64, u64, fn(&mut Config) -> &mut Duration),
    /// From so many bytes or things to so many.
    Size(u64, u64, fn(&mut Config, u64)),
    Count(u64, u64, fn(&mut Config, u64)),
    Texts(fn(&mut Config) -> &mut Vec<String>),
    Ranges(fn(&mut Config) -> &mut Vec<AddressRange>),
    Countries(fn(&mut Config) -> &mut Vec<PhonePrefix>),
    Headers(fn(&mut Config) -> &mut Vec<Header>),
    Fallback,
    Delivery,
    Level,
    Format,
}

/// A key with its section, and what it takes.
type Key = (&'static str, Takes);

macro_rules! key {
    ($section:ident $(. $field:ident)+, $takes:expr) => {
        (concat!(stringify!($section) $(, ".", stringify!($field))+), $takes)
    };
}

/// A key whose field is changed in its place.
macro_rules! field {
    ($kind:ident, $section:ident $(. $field:ident)+) => {
        key!($section $(. $field)+, Takes::$kind(|config| &mut config.$section $(. $field)+))
    };
}

macro_rules! duration {
    ($least:tt..=$most:expr, $section:ident $(. $field:ident)+) => {
        key!(
            $section $(. $field)+,
            Takes::Duration($least, $most, |config| &mut config.$section $(. $field)+)
        )
    };
}

macro_rules! number {
    ($kind:ident $least:tt..=$most:expr, $section:ident $(. $field:ident)+) => {
        key!(
            $section $(. $field)+,
            Takes::$kind($least, $most, |config, number| {
                config.$section $(. $field)+ = number.try_into().expect("it is in the range");
            })
        )
    };
}

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEARS: u64 = 3_650 * DAY;
/// What two bytes on the wire can say of seconds.
const TWO_BYTES: u64 = 65_535_000;
const MANY: u64 = 1_000_000;
const LETTERS: u64 = 10_000_000;
const KIB: u64 = 1_024;
const GIB: u64 = KIB * KIB * KIB;

/// What the documentation says of every key: `waxwing-server config example`.
const SECTIONS: &[&[Key]] = &[
    &[
        field!(Addresses, server.listen),
        field!(Ranges, server.proxies),
        field!(Path, server.data),
        field!(Path, server.control),
        field!(Text, server.control_group),
        field!(Flag, server.allow_first_start),
        number!(Count 1..=256, server.loops),
        duration!(1_000..=9 * HOUR, server.keepalive),
        duration!(1_000..=DAY, server.user_timeout),
    ],
    &[
        field!(Flag, registration.open),
        field!(Path, registration.allow_file),
        field!(Countries, registration.countries),
    ],
    &[
        key!(otp.delivery, Takes::Delivery),
        key!(otp.fallback, Takes::Fallback),
        field!(Flag, otp.allow_unverified),
        duration!(1_000..=TWO_BYTES, otp.ttl),
        number!(Count 1..=100, otp.attempts),
        duration!(1_000..=TWO_BYTES, otp.resend_after),
    ],
    &[
        field!(Path, otp.exec.program),
        field!(Texts, otp.exec.args),
        duration!(100..=10 * MINUTE, otp.exec.timeout),
        number!(Count 1..=64, otp.exec.workers),
        number!(Count 1..=10_000, otp.exec.queue),
    ],
    &[
        field!(Text, otp.webhook.url),
        field!(Text, otp.webhook.body),
        field!(Headers, otp.webhook.headers),
        field!(Path, otp.webhook.secret_file),
        field!(Path, otp.webhook.ca_file),
        duration!(100..=10 * MINUTE, otp.webhook.timeout),
        number!(Count 0..=10, otp.webhook.retries),
    ],
    &[
        duration!(1_000..=YEARS, letters.life),
        duration!(1_000..=YEARS, letters.fate_memory),
        number!(Size 306..=65_535, letters.max_size),
    ],
    &[
        duration!(100..=DAY, deadlines.first_packet),
        duration!(100..=DAY, deadlines.confirmation),
        duration!(100..=DAY, deadlines.packet),
        duration!(100..=DAY, deadlines.progress),
        duration!(100..=10 * MINUTE, deadlines.leave),
    ],
    &[
        number!(Count 1..=LETTERS, limits.letters_per_mailbox),
        number!(Size KIB..=KIB * GIB, limits.bytes_per_mailbox),
        number!(Count 1..=LETTERS, limits.letters_per_pair),
        number!(Size KIB..=KIB * GIB, limits.bytes_per_pair),
        number!(Count 1..=LETTERS, limits.letters_per_sender),
        number!(Size KIB..=KIB * GIB, limits.bytes_per_sender),
        number!(Size 131_072..=64 * GIB, limits.half_received),
        number!(Size 16_384..=GIB, limits.unsent_per_connection),
        number!(Count 1..=MANY, limits.connections_per_prefix),
        number!(Count 1..=MANY, limits.registrations_per_prefix_per_hour),
        number!(Count 1..=MANY, limits.proofs_per_prefix_per_hour),
        number!(Count 1..=MANY, limits.codes_per_phone_and_prefix_per_hour),
        number!(Count 1..=MANY, limits.codes_per_phone_per_day),
        number!(Count 1..=MANY, limits.codes_per_day),
        number!(Count 1..=MANY, limits.wrong_codes_per_prefix_per_day),
        number!(Count 1..=MANY, limits.wrong_codes_per_day),
        number!(Count 1..=MANY, limits.registration_operations_per_second),
        number!(Count 1..=MANY, limits.reconnect_operations_per_second),
        number!(Count 1..=MANY, limits.reconnects_per_user_and_prefix_per_minute),
        number!(Count 1..=MANY, limits.lookups_per_user_per_day),
        duration!(1..=HOUR, limits.status_query_interval),
        number!(Count 1..=MANY, limits.answers_per_second),
        number!(Count 1..=MANY, limits.refusals_per_second),
        number!(Count 0..=10_000, limits.ban_after),
        duration!(1_000..=YEARS, limits.ban_for),
        field!(Ranges, limits.exempt),
    ],
    &[
        field!(Text, storage.url),
        field!(Path, storage.password_file),
        duration!(100..=MINUTE, storage.timeout),
        number!(Count 1..=2, storage.copies),
        number!(Size 0..=KIB * KIB * GIB, storage.min_free_disk),
        duration!(0..=YEARS, storage.id_rest),
        duration!(1..=MINUTE, storage.busy_timeout),
        duration!(100..=DAY, storage.expiry_interval),
        duration!(100..=DAY, storage.tidy_after),
    ],
    &[
        duration!(100..=MINUTE, cluster.lease),
        duration!(1_000..=DAY, cluster.isolated),
        field!(Path, backup.directory),
        duration!(1_000..=YEARS, backup.every),
        number!(Count 1..=10_000, backup.keep),
        // Sections of their own would have one key each.
        duration!(0..=DAY, canary.every),
        field!(AddressOrNone, metrics.listen),
    ],
    &[key!(log.level, Takes::Level), key!(log.format, Takes::Format), field!(Path, log.file)],
];

/// Units of time, in milliseconds, and of size, in bytes. With the others a quantity is of no kind.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", MINUTE), ("h", HOUR), ("d", DAY)];
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", KIB), ("MiB", KIB * KIB), ("GiB", GIB)];
const NO_UNITS: [&str; 7] = ["", "kb", "S", "min", "KB", "-", "d d"];

const WORDS: [&str; 19] = [
    "+49", "+0", "webhook", "in-band", "console", "exec", "error", "warn", "info", "debug",
    "trace", "text", "json", "true", "false", "True", "yes", "Info", "in_band",
];

/// What texts are made of. No text that begins with one of these is of another kind.
const LETTERS_OF_TEXTS: [char; 16] =
    ['/', 'k', '.', '"', '\\', '=', '\0', '\n', 'ä', '\u{1f426}', '[', ']', '#', '\'', 'Z', ' '];

/// Where a setting stands. A later layer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    File,
    Environment,
    Flag,
}

/// What a setting says.
#[derive(Clone, Debug)]
enum Value {
    /// A number and a unit.
    Quantity {
        number: u64,
        unit: &'static str,
        apart: bool,
    },
    Number(i64),
    /// No kind takes one.
    Fraction,
    Flag(bool),
    Word(&'static str),
    Address(SocketAddr),
    Addresses(Vec<SocketAddr>),
    Text(String),
    Texts(Vec<String>),
    Ranges(Vec<(IpAddr, u8)>),
}

/// One key, and what it is set to.
#[derive(Clone, Debug)]
struct Setting {
    layer: Layer,
    name: &'static str,
    /// The key is misspelt: so many characters at its end are not there.
    cut: usize,
    value: Value,
}

impl Setting {
    /// Section and key.
    fn key(&self) -> &'static str {
        &self.name[..self.name.len() - self.cut]
    }

    fn takes(&self) -> Option<Takes> {
        let mut keys = SECTIONS.iter().flat_map(|keys| *keys);
        keys.find(|(name, _)| *name == self.key()).map(|(_, takes)| *takes)
    }
}

/// An input as settings.
struct Reader<'a>(Input<'a>);

impl Reader<'_> {
    fn text(&mut self) -> String {
        (0..self.0.below(6)).map(|_| self.0.one(&LETTERS_OF_TEXTS)).collect()
    }

    fn address(&mut self) -> IpAddr {
        match self.0.below(4) {
            0 => [127, 0, 0, self.0.byte()].into(),
            1 => match [self.0.byte(), self.0.byte()] {
                [0, 0] => Ipv4Addr::UNSPECIFIED.into(),
                [first, last] => [first, 0, 2, last].into(),
            },
            2 => Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, self.0.byte().into()).into(),
            _ => Ipv4Addr::new(self.0.byte(), 0, 0, 1).to_ipv6_mapped().into(),
        }
    }

    fn socket(&mut self) -> SocketAddr {
        let port = u16::from(self.0.byte()) << 8 | u16::from(self.0.byte());
        SocketAddr::new(self.address(), port)
    }

    /// A quantity at one of the bounds, or any.
    fn quantity(&mut self, takes: Takes) -> (u64, &'static str) {
        let (least, most, units): (_, _, &[(&str, u64)]) = match takes {
            Takes::Duration(least, most, _) => (least, most, &TIMES),
            Takes::Size(least, most, _) => (least, most, &SIZES),
            Takes::Count(least, most, _) => (least, most, &[("", 1)]),
            _ => (0, u64::MAX, &TIMES),
        };
        let number = match self.0.below(6) {
            0 => least,
            1 => least.wrapping_sub(1),
            2 => most,
            3 => most.wrapping_add(1),
            4 => self.0.byte().into(),
            _ => self.0.number(),
        };
        let (unit, of_it) = self.0.one(units);
        match self.0.below(4) {
            // As near as the unit comes.
            0 => (number / of_it, unit),
            1 => (number.div_ceil(of_it), unit),
            2 => (number, units[0].0),
            _ => (number, self.0.one(&NO_UNITS)),
        }
    }

    fn value(&mut self, takes: Takes) -> Value {
        match self.0.below(11) {
            0 | 1 => {
                let (number, unit) = self.quantity(takes);
                Value::Quantity { number, unit, apart: self.0.below(2) == 1 }
            }
            2 => Value::Number(self.quantity(takes).0.cast_signed()),
            3 => Value::Fraction,
            4 => Value::Flag(self.0.below(2) == 1),
            5 => Value::Word(self.0.one(&WORDS)),
            6 => Value::Address(self.socket()),
            7 => Value::Text(self.text()),
            8 => Value::Texts((0..self.0.below(4)).map(|_| self.text()).collect()),
            9 => Value::Ranges(
                (0..self.0.below(4)).map(|_| (self.address(), self.0.byte())).collect(),
            ),
            _ => Value::Addresses((0..self.0.below(4)).map(|_| self.socket()).collect()),
        }
    }

    /// The settings: mostly of one section, each key once in a layer.
    fn settings(&mut self) -> Vec<Setting> {
        let mut keys = self.0.one(SECTIONS);
        let mut settings: Vec<Setting> = Vec::new();
        while !self.0.is_empty() && settings.len() < SETTINGS {
            let how = self.0.byte();
            if how & 0xe0 == 0xe0 {
                keys = self.0.one(SECTIONS);
            }
            let (name, takes) = self.0.one(keys);
            let layer = [Layer::File, Layer::File, Layer::Environment, Layer::Flag];
            let layer = layer[usize::from(how & 3)];
            let is_misspelt = how & 0x1c == 0x1c && layer != Layer::Flag;
            // Of the key there is something left.
            let len = name.len() - name.rfind('.').expect("a section") - 1;
            let cut = if is_misspelt { 1 + self.0.below(len - 1) } else { 0 };
            let setting = Setting { layer, name, cut, value: self.value(takes) };
            // Flags may repeat, and the last one counts.
            let is_there = |other: &Setting| {
                layer != Layer::Flag && other.layer == layer && other.key() == setting.key()
            };
            if !settings.iter().any(is_there) {
                settings.push(setting);
            }
        }
        settings
    }
}

/// TOML's way to write a text, whatever is in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | ':' | '/' => quoted.push(char),
            other => write!(quoted, "\\U{:08x}", u32::from(other)).expect("a string"),
        }
    }
    quoted + "\""
}

impl Value {
    /// As it stands in a file.
    fn in_file(&self) -> String {
        let list = |texts: Vec<String>| format!("[{}]", texts.join(", "));
        match self {
            Self::Number(number) => number.to_string(),
            Self::Fraction => "1.5".into(),
            Self::Flag(flag) => flag.to_string(),
            Self::Texts(texts) => list(texts.iter().map(|text| quoted(text)).collect()),
            Self::Addresses(addresses) => {
                list(addresses.iter().map(|address| quoted(&address.to_string())).collect())
            }
            Self::Ranges(ranges) => list(
                ranges.iter().map(|(first, bits)| quoted(&format!("{first}/{bits}"))).collect(),
            ),
            other => quoted(&other.as_text()),
        }
    }

    /// As it stands in a flag or a variable.
    fn as_text(&self) -> String {
        match self {
            Self::Quantity { number, unit, apart } => {
                format!("{number}{}{unit}", if *apart { " " } else { "" })
            }
            Self::Number(number) => number.to_string(),
            Self::Fraction => "1.5".into(),
            Self::Flag(flag) => flag.to_string(),
            Self::Word(word) => (*word).into(),
            Self::Address(address) => address.to_string(),
            Self::Text(text) => text.clone(),
            Self::Texts(texts) => texts.join(","),
            Self::Addresses(addresses) => {
                let texts: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
                texts.join(",")
            }
            Self::Ranges(ranges) => {
                let texts: Vec<_> =
                    ranges.iter().map(|(first, bits)| format!("{first}/{bits}")).collect();
                texts.join(",")
            }
        }
    }

    /// Milliseconds, bytes or things: what the number and its unit come to.
    fn amount(&self, units: &[(&str, u64)]) -> Option<u64> {
        let (number, unit) = match self {
            Self::Quantity { number, unit, .. } => (*number, *unit),
            Self::Number(number) => (u64::try_from(*number).ok()?, ""),
            _ => return None,
        };
        let (_, of_it) = units.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*of_it)
    }

    /// The text that it is, if it is one.
    fn text(&self, layer: Layer) -> Option<String> {
        let is_text = match self {
            Self::Number(_)
            | Self::Fraction
            | Self::Flag(_)
            | Self::Texts(_)
            | Self::Ranges(_)
            | Self::Addresses(_) => layer != Layer::File,
            Self::Quantity { .. } | Self::Word(_) | Self::Address(_) | Self::Text(_) => true,
        };
        is_text.then(|| self.as_text())
    }

    /// The texts that it is, if it is a list of them: outside of a file, and in a text, with commas
    /// between them.
    fn texts(&self, layer: Layer) -> Option<Vec<String>> {
        let ranges = |ranges: &Vec<(IpAddr, u8)>| {
            ranges.iter().map(|(first, bits)| format!("{first}/{bits}")).collect()
        };
        match self {
            Self::Texts(texts) if layer == Layer::File => Some(texts.clone()),
            Self::Ranges(given) if layer == Layer::File => Some(ranges(given)),
            Self::Addresses(given) if layer == Layer::File => {
                Some(given.iter().map(SocketAddr::to_string).collect())
            }
            _ => {
                let text = self.text(layer)?;
                let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
                Some(texts.map(str::to_owned).collect())
            }
        }
    }

    /// Sets a key, or refuses to.
    fn set(&self, layer: Layer, takes: Takes, config: &mut Config) -> Option<()> {
        let text = self.text(layer);
        match takes {
            Takes::Addresses(field) => {
                let addresses: Vec<_> = match self {
                    Self::Address(address) => vec![plain(*address)],
                    Self::Addresses(given) => given.iter().copied().map(plain).collect(),
                    _ => return None,
                };
                (!addresses.is_empty() && can_be_listened_on(&addresses)).then_some(())?;
                *field(config) = addresses;
            }
            Takes::AddressOrNone(field) => {
                *field(config) = match self {
                    Self::Address(address) => Some(plain(*address)),
                    // Outside of a file a list of one is that one.
                    Self::Addresses(given) if text.is_some() && given.len() == 1 => {
                        Some(plain(given[0]))
                    }
                    _ if text.is_some_and(|text| text.is_empty()) => None,
                    _ => return None,
                };
            }
            Takes::Path(field) => *field(config) = text?.into(),
            Takes::Text(field) => *field(config) = text?,
            Takes::Flag(field) => {
                *field(config) = match self {
                    Self::Flag(flag) => *flag,
                    Self::Word("true") => true,
                    Self::Word("false") => false,
                    _ => return None,
                };
            }
            Takes::Duration(least, most, field) => {
                let millis = self.amount(&TIMES)?;
                (least..=most).contains(&millis).then_some(())?;
                *field(config) = Duration::from_millis(millis);
            }
            Takes::Size(least, most, set) => {
                let bytes = self.amount(&[&SIZES[..], &[("", 1)]].concat())?;
                (least..=most).contains(&bytes).then_some(())?;
                set(config, bytes);
            }
            Takes::Count(least, most, set) => {
                // A number is one in quotes too, but not with a space behind it.
                let is_number = !matches!(self, Self::Quantity { apart: true, .. });
                let number = match self {
                    // With a plus before it as well.
                    Self::Word(word) => word.parse().ok(),
                    _ => self.amount(&[("", 1)]).filter(|_| is_number),
                }?;
                (least..=most).contains(&number).then_some(())?;
                set(config, number);
            }
            Takes::Texts(field) => *field(config) = self.texts(layer)?,
            Takes::Ranges(field) => {
                let mut ranges = Vec::new();
                match self {
                    Self::Ranges(given) => {
                        for (first, bits) in given {
                            let width = if first.is_ipv4() { 32 } else { 128 };
                            (*bits <= width).then_some(())?;
                            ranges.push(AddressRange::new(*first, *bits));
                        }
                    }
                    // Nothing else is a range, but there may be none in it.
                    _ => self.texts(layer)?.is_empty().then_some(())?,
                }
                *field(config) = ranges;
            }
            Takes::Countries(field) => {
                let is_country = |text: &String| {
                    let digits = text.strip_prefix('+').unwrap_or_default();
                    (1..=15).contains(&digits.len())
                        && digits.bytes().all(|digit| digit.is_ascii_digit())
                        && !digits.starts_with('0')
                };
                let texts = self.texts(layer)?;
                texts.iter().all(is_country).then_some(())?;
                *field(config) =
                    texts.iter().map(|text| text.parse().expect("a country")).collect();
            }
            Takes::Headers(field) => {
                *field(config) =
                    self.texts(layer)?.iter().map(|text| header(text)).collect::<Option<_>>()?;
            }
            Takes::Delivery => config.otp.delivery = delivery(&text?)?,
            Takes::Fallback => {
                config.otp.fallback = match text?.as_str() {
                    "" => None,
                    text => Some(delivery(text)?),
                };
            }
            Takes::Level => {
                config.log.level = match text?.as_str() {
                    "error" => LogLevel::Error,
                    "warn" => LogLevel::Warn,
                    "info" => LogLevel::Info,
                    "debug" => LogLevel::Debug,
                    "trace" => LogLevel::Trace,
                    _ => return None,
                };
            }
            Takes::Format => {
                config.log.format = match text?.as_str() {
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    _ => return None,
                };
            }
        }
        Some(())
    }
}

fn delivery(text: &str) -> Option<DeliveryKind> {
    Some(match text {
        "in-band" => DeliveryKind::InBand,
        "console" => DeliveryKind::Console,
        "exec" => DeliveryKind::Exec,
        "webhook" => DeliveryKind::Webhook,
        _ => return None,
    })
}

/// Of the texts here only an address with a port is a header, or what begins like one.
fn header(text: &str) -> Option<Header> {
    let (name, value) = text.split_once(':')?;
    let (name, value) = (name.trim(), value.trim());
    let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let fits = !name.is_empty() && name.chars().all(is_name);
    let fits = fits && !value.is_empty() && value.chars().all(|c| (' '..='~').contains(&c));
    fits.then(|| Header { name: name.into(), value: value.into() })
}

/// What comes of the settings: a configuration, or the names of which the message has to have one.
fn expected(settings: &[Setting]) -> Result<Config, Vec<&'static str>> {
    let mut config = Config::default();
    for layer in [Layer::File, Layer::Environment, Layer::Flag] {
        let mut wrong = Vec::new();
        for setting in settings.iter().filter(|setting| setting.layer == layer) {
            let set =
                setting.takes().and_then(|takes| setting.value.set(layer, takes, &mut config));
            if set.is_none() {
                wrong.push(setting.key());
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
    }
    // What no single value shows.
    let has_nul = |text: &str| text.contains('\0');
    let (data, exec) = (config.server.data.to_string_lossy(), &config.otp.exec);
    let (program, control) =
        (exec.program.to_string_lossy(), config.server.control.to_string_lossy());
    let backups = config.backup.directory.to_string_lossy();
    let canary = config.canary.every;
    let uses = |kind| config.otp.delivery == kind || config.otp.fallback == Some(kind);
    let webhook = &config.otp.webhook;
    let allow_file = config.registration.allow_file.to_string_lossy();
    let is_shared =
        |metrics: SocketAddr| config.server.listen.iter().any(|one| takes_from(one, &metrics));
    let rules = [
        (has_nul(&allow_file), "registration.allow_file"),
        (has_nul(&backups), "backup.directory"),
        (config.backup.directory == config.server.data, "backup.directory"),
        (has_nul(&config.log.file.to_string_lossy()), "log.file"),
        (!canary.is_zero() && canary < Duration::from_secs(1), "canary.every"),
        (config.metrics.listen.is_some_and(is_shared), "metrics.listen"),
        (has_nul(&control), "server.control"),
        (data.is_empty() || has_nul(&data), "server.data"),
        // It is built without PostgreSQL.
        (!config.storage.url.is_empty(), "storage.url"),
        (has_nul(&config.storage.password_file.to_string_lossy()), "storage.password_file"),
        (has_nul(&program), "otp.exec.program"),
        (exec.args.iter().any(|arg| has_nul(arg)), "otp.exec.args"),
        (program.is_empty() && uses(DeliveryKind::Exec), "otp.exec.program"),
        (config.otp.webhook.url.is_empty() && uses(DeliveryKind::Webhook), "otp.webhook.url"),
        (config.otp.fallback.is_some() && uses(DeliveryKind::InBand), "otp.fallback"),
        (config.otp.fallback == Some(config.otp.delivery), "otp.fallback"),
        (has_nul(&webhook.secret_file.to_string_lossy()), "otp.webhook.secret_file"),
        (has_nul(&webhook.ca_file.to_string_lossy()), "otp.webhook.ca_file"),
    ];
    let broken: Vec<_> = rules.iter().filter(|(is_broken, _)| *is_broken).collect();
    if !broken.is_empty() {
        return Err(broken.iter().map(|(_, name)| *name).collect());
    }
    Ok(config)
}

/// Whether a server with this configuration gives codes to everybody who asks over the network, and
/// nobody has allowed that.
fn is_open(config: &Config) -> bool {
    let is_private = |address: &SocketAddr| match address.ip() {
        IpAddr::V4(address) => address.octets()[0] == 127,
        IpAddr::V6(address) => address.segments() == [0, 0, 0, 0, 0, 0, 0, 1],
    };
    let server = &config.server;
    let is_public = !server.listen.iter().all(is_private) || !server.proxies.is_empty();
    config.otp.delivery == DeliveryKind::InBand && !config.otp.allow_unverified && is_public
}

/// Whether sockets can have all of these addresses at once, and none is there twice.
fn can_be_listened_on(addresses: &[SocketAddr]) -> bool {
    let different: BTreeSet<_> = addresses.iter().collect();
    let pairs = different.iter().flat_map(|one| different.iter().map(move |other| (one, other)));
    different.len() == addresses.len()
        && pairs.filter(|(one, other)| one != other).all(|(one, other)| !takes_from(one, other))
}

/// Whether a connection could be meant for both. A system that chooses the ports sees to that itself.
fn takes_from(one: &SocketAddr, other: &SocketAddr) -> bool {
    let everything: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let [of_four, of_six] = everything.map(|all| [one, other].iter().any(|it| it.ip() == all));
    let meet = match (one.ip(), other.ip()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => of_four || one == other,
        (IpAddr::V6(one), IpAddr::V6(other)) => of_six || one == other,
        _ => false,
    };
    meet && one.port() > 0 && one.port() == other.port()
}

/// An IPv4 address that is written as an IPv6 address is an IPv4 address.
fn plain(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().segments() {
            [0, 0, 0, 0, 0, 0xffff, high, low] => {
                let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
                SocketAddr::new([a, b, c, d].into(), v6.port())
            }
            _ => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// Keys, each set in the file, in the environment or by a flag: the values that were given are there
/// and everything else is as it was; or the message names a key that is wrong.
pub fn config_keys(data: &[u8]) -> Reached {
    let settings = Reader(Input::new(data)).settings();
    let mut file: BTreeMap<&str, String> = BTreeMap::new();
    let (mut environment, mut flags) = (Vec::new(), Vec::new());
    for setting in &settings {
        let Setting { layer, name, value, .. } = setting;
        match layer {
            Layer::File => {
                let (section, key) = setting.key().rsplit_once('.').expect("a section");
                let lines = file.entry(section).or_default();
                writeln!(lines, "{key} = {}", value.in_file()).expect("a string");
            }
            Layer::Environment => {
                let name = format!("WAXWING_{}", setting.key().replace('.', "__"));
                environment.push((name.to_ascii_uppercase().into(), value.as_text().into()));
            }
            Layer::Flag => {
                flags.push(Override { flag: "--set", key: name, value: value.as_text() })
            }
        }
    }
    let file: String =
        file.iter().map(|(section, lines)| format!("[{section}]\n{lines}")).collect();
    let loaded = load(&file, environment, &flags);
    let mut reached = Reached::new();
    match expected(&settings) {
        Ok(expected) => {
            let loaded = loaded.unwrap_or_else(|error| panic!("{error}, and nothing is wrong"));
            assert_eq!(loaded, expected);
            // Which programs, groups and files there are is for the system to say.
            let [exec, webhook] = [DeliveryKind::Exec, DeliveryKind::Webhook];
            let asks_others = |kind| kind == exec || kind == webhook;
            let names_none = !asks_others(loaded.otp.delivery)
                && !loaded.otp.fallback.is_some_and(asks_others)
                && loaded.server.control_group.is_empty()
                && loaded.registration.allow_file.as_os_str().is_empty()
                && loaded.backup.directory.as_os_str().is_empty()
                && loaded.log.file.as_os_str().is_empty();
            if names_none {
                let refused = loaded.check_serving().is_err();
                assert_eq!(refused, is_open(&loaded), "who is given codes");
                if refused {
                    reached.insert("it cannot serve");
                }
            }
            let layers = settings.iter().map(|setting| match setting.layer {
                Layer::File => "taken from the file",
                Layer::Environment => "taken from the environment",
                Layer::Flag => "taken from a flag",
            });
            reached.extend(layers);
            reached.extend(settings.iter().map(Setting::key));
        }
        Err(names) => {
            let error = loaded.expect_err("one of them is wrong").to_string();
            let is_named = names.iter().any(|name| error.to_ascii_lowercase().contains(name));
            assert!(is_named, "{error:?} names none of {names:?}");
            let is_misspelt = settings.iter().any(|setting| setting.takes().is_none());
            reached.insert(if is_misspelt { "no such key" } else { "refused" });
            reached.extend(names);
        }
    }
    reached
}

fn load(
    file: &str,
    environment: Vec<(OsString, OsString)>,
    flags: &[Override],
) -> Result<Config, ConfigError> {
    if file.is_empty() {
        return Config::load(None, environment, flags);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("waxwing.toml");
    std::fs::write(&path, file).unwrap();
    Config::load(Some(&path), environment, flags)
}

/// The bytes that stand for a key in an input: the number of its section, and its own.
///
/// # Panics
/// When there is no such key.
#[must_use]
pub fn place(key: &str) -> [u8; 2] {
    let in_section = |keys: &&[Key]| keys.iter().position(|(name, _)| *name == key);
    let mut places = (0..).zip(SECTIONS);
    let place = places.find_map(|(section, keys)| Some([section, in_section(keys)?]));
    place.unwrap_or_else(|| panic!("no key {key}")).map(|at| u8::try_from(at).expect("few"))
}

/// The byte that stands for a word in an input.
///
/// # Panics
/// When there is no such word.
#[must_use]
pub fn word(word: &str) -> u8 {
    let at = WORDS.iter().position(|one| *one == word);
    at.unwrap_or_else(|| panic!("no word {word}")).try_into().expect("few")
}

/// Settings, one a line.
pub struct Settings;

impl Form for Settings {
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in Reader(Input::new(bytes)).settings() {
            let (key, text) = (setting.key(), setting.value.in_file());
            writeln!(f, "{:?}: {key} = {text}", setting.layer)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_has_every_key() {
        let mut section = "";
        let mut documented = Vec::new();
        let example = Config::example();
        for line in example.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name;
            } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#'))
            {
                documented.push(format!("{section}.{key}"));
            }
        }
        let names: Vec<_> = SECTIONS.iter().flat_map(|keys| *keys).map(|(name, _)| *name).collect();
        assert_eq!(names, documented);
    }
}
