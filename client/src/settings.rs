//! What a person has set: the file `config.toml`, the environment over it, and the command line over
//! both.

use std::env;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use toml::{Table, Value};

use crate::clock;
use crate::nearest;
use crate::phone::Country;
use crate::system;
use crate::tui::bindings::{BadBinding, Bindings};
use crate::tui::theme::Theme;

/// A file that is longer is no configuration.
const LONGEST: u64 = 64 * 1_024;

/// What a person has set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The account that is meant unless the command line names another.
    pub account: Option<String>,
    /// The country whose numbers may be typed without its code.
    pub country: Option<Country>,
    /// Whether those whose letters are read are told so.
    pub receipts: bool,
    /// How long letters are kept; `None` is for ever.
    pub retention: Option<Duration>,
    /// Whether the mouse does something on the full screen.
    pub mouse: bool,
    /// The colors of the full screen; `None` is what the environment says.
    pub theme: Option<Theme>,
    /// Which key does what on the full screen.
    pub keys: Bindings,
    /// What tells of new letters while nobody looks at the full screen.
    pub notify: Notify,
}

/// What tells of new letters while nobody looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// A program with its arguments, if there is to be one.
    pub command: Option<Vec<String>>,
    /// Whether it gets what the letters say.
    pub text: bool,
}

/// The settings are not what they can be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{}: {why}; mend the file, or move it away", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no such setting.
    #[error(
        "{}: there is no setting {key:?}{}. The settings are account, country, mouse, receipts, retention and \
         theme, and those in [keys] and [notify]",
        .file.display(), nearest::in_words(.nearest.as_deref())
    )]
    Unknown {
        /// The file.
        file: PathBuf,
        /// What stands there.
        key: String,
        /// What it may have been meant to be.
        nearest: Option<String>,
    },
    /// A setting has a value that it cannot have.
    #[error("{place}: {key} = {value} cannot be: {why}")]
    Bad {
        /// The file, or the variable.
        place: String,
        /// The setting.
        key: String,
        /// Its value.
        value: String,
        /// What it can be.
        why: String,
    },
}

/// A setting by its name.
struct Key {
    name: &'static str,
    variable: &'static str,
    kind: Kind,
    set: fn(&mut Settings, &str) -> Result<(), String>,
}

const KEYS: [Key; 6] = [
    Key { name: "account", variable: "WAXWING_ACCOUNT", kind: Kind::Text, set: set_account },
    Key { name: "country", variable: "WAXWING_COUNTRY", kind: Kind::Text, set: set_country },
    Key { name: "mouse", variable: "WAXWING_MOUSE", kind: Kind::Truth, set: set_mouse },
    Key { name: "receipts", variable: "WAXWING_RECEIPTS", kind: Kind::Truth, set: set_receipts },
    Key { name: "retention", variable: "WAXWING_RETENTION", kind: Kind::Text, set: set_retention },
    Key { name: "theme", variable: "WAXWING_THEME", kind: Kind::Text, set: set_theme },
];

/// How the value of a setting is written in the file.
enum Kind {
    Text,
    /// True or false.
    Truth,
}

impl Kind {
    /// The value, as it would be written into a variable.
    fn read(&self, value: &Value) -> Result<String, String> {
        match (self, value) {
            (Self::Text, Value::String(text)) => Ok(text.clone()),
            (Self::Truth, Value::Boolean(truth)) => Ok(truth.to_string()),
            (Self::Text, _) => Err("it needs a text in quotation marks".to_owned()),
            (Self::Truth, _) => Err("it is true or false, without quotation marks".to_owned()),
        }
    }
}

fn set_account(settings: &mut Settings, text: &str) -> Result<(), String> {
    crate::accounts::check_name(text)?;
    settings.account = Some(text.to_owned());
    Ok(())
}

fn set_country(settings: &mut Settings, text: &str) -> Result<(), String> {
    settings.country = Some(Country::parse(text)?);
    Ok(())
}

fn set_mouse(settings: &mut Settings, text: &str) -> Result<(), String> {
    settings.mouse = truth(text)?;
    Ok(())
}

fn set_receipts(settings: &mut Settings, text: &str) -> Result<(), String> {
    settings.receipts = truth(text)?;
    Ok(())
}

fn set_theme(settings: &mut Settings, text: &str) -> Result<(), String> {
    settings.theme = Some(Theme::named(text)?);
    Ok(())
}

fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it is true or false".to_owned()),
    }
}

fn set_retention(settings: &mut Settings, text: &str) -> Result<(), String> {
    settings.retention = match text {
        "forever" => None,
        text => {
            Some(clock::parse_span(text).map_err(|why| format!("{why}; or it is \"forever\""))?)
        }
    };
    Ok(())
}

impl Settings {
    /// Where the file is: `$XDG_CONFIG_HOME/waxwing/config.toml`, else
    /// `~/.config/waxwing/config.toml`. `None` when the environment says neither.
    #[must_use]
    pub fn file() -> Option<PathBuf> {
        let variable = |name| env::var_os(name).map(PathBuf::from);
        file_from(variable("XDG_CONFIG_HOME"), variable("HOME"))
    }

    /// What file and environment say.
    ///
    /// # Errors
    /// [`SettingsError`] when one of them cannot be.
    pub fn load() -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        if let Some(file) = Self::file()
            && let Some(text) = read(&file)?
        {
            settings.take_file(&file, &text)?;
        }
        // What is no Unicode has no meaning in any of them, and is refused by it.
        settings.take_environment(|variable| {
            env::var_os(variable).map(|value| value.to_string_lossy().into_owned())
        })?;
        Ok(settings)
    }

    /// What names the account, for whoever has to change it: the variable, or else the file.
    #[must_use]
    pub fn place_of_account() -> String {
        let variable = "WAXWING_ACCOUNT";
        let file =
            Self::file().filter(|_| env::var_os(variable).is_none_or(|name| name.is_empty()));
        file.map_or_else(|| variable.to_owned(), |file| file.display().to_string())
    }

    fn take_file(&mut self, file: &Path, text: &str) -> Result<(), SettingsError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let why = error.to_string().trim_end().to_owned();
            SettingsError::Unreadable { file: file.to_owned(), why }
        })?;
        let file = In(file);
        for (name, value) in table {
            if let Some(key) = KEYS.iter().find(|key| key.name == name) {
                let done = key.kind.read(&value).and_then(|text| (key.set)(self, &text));
                done.map_err(|why| file.bad(key.name, &value, why))?;
            } else if name == "keys" {
                self.take_keys(&file, value)?;
            } else if name == "notify" {
                self.take_notify(&file, value)?;
            } else {
                let known = KEYS.iter().map(|key| key.name).chain(["keys", "notify"]);
                return Err(file.unknown(&name, known));
            }
        }
        Ok(())
    }

    fn take_keys(&mut self, file: &In<'_>, value: Value) -> Result<(), SettingsError> {
        for (name, keys) in file.section("keys", value)? {
            let path = format!("keys.{name}");
            let why = "it needs a key in quotation marks, or several in brackets";
            let texts = texts(&keys).ok_or_else(|| file.bad(&path, &keys, why.to_owned()))?;
            self.keys.set(&name, &texts).map_err(|error| match error {
                BadBinding::Unknown { nearest } => SettingsError::Unknown {
                    file: file.0.to_owned(),
                    key: path,
                    nearest: nearest.map(|nearest| format!("keys.{nearest}")),
                },
                BadBinding::Bad(why) => file.bad(&path, &keys, why),
            })?;
        }
        self.keys.check().map_err(|why| SettingsError::Unreadable {
            file: file.0.to_owned(),
            why: format!("[keys]: {why}"),
        })
    }

    fn take_notify(&mut self, file: &In<'_>, value: Value) -> Result<(), SettingsError> {
        for (name, value) in file.section("notify", value)? {
            let path = format!("notify.{name}");
            match name.as_str() {
                "command" => {
                    let why = "it needs a program in quotation marks, or one with its arguments in brackets";
                    let words = texts(&value)
                        .filter(|words| words.first().is_some_and(|first| !first.is_empty()));
                    let words = words.ok_or_else(|| file.bad(&path, &value, why.to_owned()))?;
                    self.notify.command = Some(words.into_iter().map(str::to_owned).collect());
                }
                "text" => {
                    let text = Kind::Truth.read(&value).and_then(|text| truth(&text));
                    self.notify.text = text.map_err(|why| file.bad(&path, &value, why))?;
                }
                _ => return Err(file.unknown(&path, ["notify.command", "notify.text"].into_iter())),
            }
        }
        Ok(())
    }

    fn take_environment(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), SettingsError> {
        for key in &KEYS {
            // An empty one is as good as none.
            let Some(value) = variable(key.variable).filter(|value| !value.is_empty()) else {
                continue;
            };
            (key.set)(self, &value).map_err(|why| SettingsError::Bad {
                place: key.variable.to_owned(),
                key: key.name.to_owned(),
                value: format!("{value:?}"),
                why,
            })?;
        }
        Ok(())
    }
}

/// The file that is read, for what is wrong in it.
struct In<'a>(&'a Path);

impl In<'_> {
    fn section(&self, name: &str, value: Value) -> Result<Table, SettingsError> {
        match value {
            Value::Table(section) => Ok(section),
            other => {
                let why = format!("it is a section: [{name}], with settings below it");
                Err(self.bad(name, &other, why))
            }
        }
    }

    fn bad(&self, key: &str, value: &Value, why: String) -> SettingsError {
        let (place, value) = (self.0.display().to_string(), value.to_string());
        SettingsError::Bad { place, key: key.to_owned(), value, why }
    }

    fn unknown<'k>(&self, name: &str, known: impl Iterator<Item = &'k str>) -> SettingsError {
        let nearest = nearest::nearest(name, known).map(str::to_owned);
        SettingsError::Unknown { file: self.0.to_owned(), key: name.to_owned(), nearest }
    }
}

/// A text, or several.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(texts) => texts.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// Where the file is, given the two variables that decide.
fn file_from(xdg_config_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // The XDG specification has relative paths ignored. An empty HOME must not make the file one of
    // whatever directory somebody happens to be in.
    let named = xdg_config_home.filter(|path| path.is_absolute());
    let usual =
        || home.filter(|path| !path.as_os_str().is_empty()).map(|home| home.join(".config"));
    Some(named.or_else(usual)?.join("waxwing/config.toml"))
}

fn read(file: &Path) -> Result<Option<String>, SettingsError> {
    let unreadable = |why: String| SettingsError::Unreadable { file: file.to_owned(), why };
    // A pipe is not waited for.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = match OpenOptions::new().read(true).custom_flags(flags).open(file) {
        Ok(opened) => opened,
        // Somebody whose HOME is /dev/null has none.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(system::of_file(&error))),
    };
    if !opened.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(unreadable("it is not a file".to_owned()));
    }
    let mut text = String::new();
    let len = opened.take(LONGEST + 1).read_to_string(&mut text);
    match len.map_err(|error| unreadable(system::of_file(&error)))? as u64 {
        len if len > LONGEST => Err(unreadable("it has more than 64 KiB".to_owned())),
        _ => Ok(Some(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::bindings::Action;

    fn of_file(text: &str) -> Result<Settings, String> {
        let mut settings = Settings::default();
        let taken = settings.take_file(Path::new("config.toml"), text);
        taken.map(|()| settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_sets_what_it_names() {
        let settings = of_file(
            "account = \"work\"\ncountry = \"+49\"\nreceipts = true\nretention = \"1y\" # a year\n",
        )
        .unwrap();
        assert_eq!(settings.account.as_deref(), Some("work"));
        assert_eq!(settings.country, Some(Country::parse("+49").unwrap()));
        assert!(settings.receipts && !settings.mouse);
        assert_eq!(settings.retention, Some(Duration::from_hours(365 * 24)));
        assert_eq!(of_file("").unwrap(), Settings::default());
        let settings = of_file(
            "[keys]\njump = [\"ctrl-k\", \"f2\"]\n[notify]\ncommand = [\"notify-send\", \"waxwing\"]\ntext = true",
        )
        .unwrap();
        assert_eq!(settings.keys.key(Action::Jump), "Ctrl-K");
        assert_eq!(settings.notify.command.unwrap(), ["notify-send", "waxwing"]);
        assert!(settings.notify.text);
    }

    #[test]
    fn the_document_has_all_keys_as_they_are() {
        let document = include_str!("../../docs/USING.md");
        let (_, keys) = document.split_once("```toml\n[keys]\nquit").unwrap();
        let (keys, _) = keys.split_once("```").unwrap();
        let settings = of_file(&format!("[keys]\nquit{keys}")).unwrap();
        assert_eq!(settings.keys, Bindings::default());
        assert_eq!(keys.lines().count(), Bindings::names().count());
    }

    #[test]
    fn each_mistake_is_named_with_its_place_and_what_to_do() {
        for (text, help) in [
            ("acount = \"x\"", "account is the nearest"),
            ("[receipt]\nsend = true", "receipts is the nearest"),
            ("volume = 7", "no setting \"volume\". The settings are account"),
            ("receipts = \"true\"", "without quotation marks"),
            ("receipts = 1", "without quotation marks"),
            ("country = 49", "in quotation marks"),
            ("country = \"Germany\"", "such as +49"),
            ("country = { code = 49 }", "in quotation marks"),
            ("retention = \"long\"", "such as 8h"),
            ("retention = \"0d\"", "such as 8h"),
            ("account = \"../x\"", "letters a to z"),
            ("theme = \"blue\"", "dark, light or plain"),
            ("mouse = \"true\"", "without quotation marks"),
            ("[keys]\njmup = \"ctrl-k\"", "keys.jump is the nearest"),
            ("[keys]\njump = 7", "a key in quotation marks"),
            ("[keys]\njump = [\"f2\", 7]", "a key in quotation marks"),
            ("[keys]\njump = \"ctrl-kk\"", "is no key"),
            ("[keys]\njump = \"ctrl-f\"", "both jump and search"),
            ("keys = \"vim\"", "it is a section: [keys]"),
            ("[notify]\ncommand = \"\"", "needs a program"),
            ("[notify]\ncommand = []", "needs a program"),
            ("[notify]\ncomand = \"x\"", "notify.command is the nearest"),
            ("[notify]\ntext = \"yes\"", "without quotation marks"),
            ("country =", "line 1"),
            ("country = \"+49\"\ncountry = \"+1\"", "line 2"),
        ] {
            let error = of_file(text).unwrap_err();
            assert!(error.starts_with("config.toml: ") && error.contains(help), "{text}: {error}");
        }
    }

    #[test]
    fn the_file_follows_xdg_then_home_and_is_never_one_of_the_current_directory() {
        let path = |text: &str| Some(PathBuf::from(text));
        let cases = [
            (path("/config"), path("/home/a"), path("/config/waxwing/config.toml")),
            (None, path("/home/a"), path("/home/a/.config/waxwing/config.toml")),
            (path("relative"), path("/home/a"), path("/home/a/.config/waxwing/config.toml")),
            (path(""), path(""), None),
            (None, None, None),
        ];
        for (xdg, home, expected) in cases {
            assert_eq!(file_from(xdg, home), expected);
        }
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("none")), Ok(None));
        // As below a HOME that is /dev/null.
        assert_eq!(read(Path::new("/dev/null/.config/waxwing/config.toml")), Ok(None));
        let pipe = dir.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        for place in [dir.path(), &pipe] {
            let error = read(place).unwrap_err().to_string();
            assert!(error.contains("not a file"), "{error}");
        }
    }

    #[test]
    fn the_environment_goes_over_the_file() {
        let mut settings = of_file("country = \"+49\"\nreceipts = true").unwrap();
        let variables = |name: &str| match name {
            "WAXWING_COUNTRY" => Some("+1".to_owned()),
            "WAXWING_RECEIPTS" => Some("false".to_owned()),
            _ => None,
        };
        settings.take_environment(variables).unwrap();
        assert_eq!(settings.country, Some(Country::parse("+1").unwrap()));
        assert!(!settings.receipts);
        let before = settings.clone();
        settings.take_environment(|_| Some(String::new())).unwrap();
        assert_eq!(settings, before);
        let error = settings.take_environment(|_| Some("\u{1b}?".to_owned())).unwrap_err();
        assert!(error.to_string().starts_with("WAXWING_ACCOUNT: "), "{error}");
    }
}
