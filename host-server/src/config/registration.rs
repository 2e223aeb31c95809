//! Who may register: the settings of it, and the file of phones.

use std::fs::Metadata;
use std::path::Path;

use waxwing_core::phone::Phone;
use waxwing_core::server::RegistrationPolicy;

use super::{ConfigError, RegistrationConfig, named_file};
use crate::access;

/// Bytes of a file of phones.
const LARGEST: usize = 4 << 20;

impl RegistrationConfig {
    /// What a machine is told of it. The file is read anew each time.
    ///
    /// # Errors
    /// When the file cannot be used; says the line.
    pub fn policy(&self) -> Result<RegistrationPolicy, ConfigError> {
        let Self { open, allow_file, countries } = self;
        let named = !allow_file.as_os_str().is_empty();
        let phones = named.then(|| phones(allow_file)).transpose().map_err(|why| {
            ConfigError(format!("registration.allow_file: {}: {why}", allow_file.display()))
        })?;
        let (most, many) = (RegistrationPolicy::MAX_COUNTRIES, RegistrationPolicy::MAX_PHONES);
        RegistrationPolicy::new(*open, countries.clone(), phones).ok_or_else(|| {
            ConfigError(format!(
                "registration: there may be {most} countries, and {many} phones in the file, and there \
                 are more"
            ))
        })
    }

    /// That nobody can register although nobody has said so in as many words, and what to do. A file that cannot be
    /// used is not the matter here.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        self.policy().ok().and_then(|policy| self.remark_on(&policy))
    }

    /// The same, when these settings and the file have become `policy`.
    pub(crate) fn remark_on(&self, policy: &RegistrationPolicy) -> Option<String> {
        if !self.open || policy.allows_anybody() {
            return None;
        }
        if self.allow_file.as_os_str().is_empty() {
            let why = "registration.countries names no country (none has +999), so nobody can register: name those \
                       whose people may, or let it be empty";
            return Some(why.into());
        }
        let countries = match self.countries.is_empty() {
            true => "",
            false => " of registration.countries",
        };
        Some(format!(
            "registration.allow_file: {} has no phone in it{countries} (no country has +999), so nobody can register: \
             write the phones of those who may into it, one a line, or let registration.allow_file be empty",
            self.allow_file.display()
        ))
    }
}

/// The phones in a file, one a line.
fn phones(path: &Path) -> Result<Vec<Phone>, String> {
    let wrong = |metadata: &Metadata| access::others_can_change(path, metadata);
    let text = named_file::text(path, LARGEST, wrong).map_err(|error| error.to_string())?;
    // Some editors put a mark of the order of bytes before a text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = (1..).zip(text.lines().map(str::trim));
    let phones = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    // The line is not shown: it may be a phone but for one digit.
    let parse = |(number, line): (usize, &str)| {
        Phone::parse(line.as_bytes()).map_err(|_| {
            format!(
                "line {number} is no phone: write + and 7 to 15 digits without spaces, one phone a line; \
                 a line that begins with # is a remark"
            )
        })
    };
    phones.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn policy(file: &str) -> Result<RegistrationPolicy, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("phones");
        fs::write(&path, file).unwrap();
        let config = RegistrationConfig { allow_file: path, ..RegistrationConfig::default() };
        config.policy().map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_of_phones_has_one_a_line_and_remarks() {
        let two =
            ["+4915112345601", "+15550001111"].map(|text| Phone::parse(text.as_bytes()).unwrap());
        let expected = RegistrationPolicy::new(true, Vec::new(), Some(two.to_vec())).unwrap();
        let file = "# people\n+15550001111\r\n\n  +4915112345601  ";
        assert_eq!(policy(file), Ok(expected.clone()));
        assert_eq!(policy("\u{feff}+15550001111\n+4915112345601"), Ok(expected));
        let nobody = RegistrationPolicy::new(true, Vec::new(), Some(Vec::new())).unwrap();
        assert_eq!(policy(""), Ok(nobody));
    }

    #[test]
    fn a_file_without_phones_lets_nobody_register_and_is_remarked_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("phones");
        let remark = |open, file: &str| {
            fs::write(&path, file).unwrap();
            let allow_file = path.clone();
            RegistrationConfig { open, allow_file, ..RegistrationConfig::default() }.remark()
        };
        let said = remark(true, "# nobody yet\n").unwrap();
        assert!(said.contains("nobody can register"), "{said}");
        assert_eq!(remark(true, "+15550001111\n"), None);
        // Nobody can have these.
        assert!(remark(true, "+99900000001\n").unwrap().contains("no country has +999"));
        assert_eq!(remark(true, "+99900000001\n+15550001111\n"), None);
        fs::write(&path, "+15550001111\n").unwrap();
        let of = |countries: &[&str], allow_file: &Path| RegistrationConfig {
            open: true,
            allow_file: allow_file.to_owned(),
            countries: countries.iter().map(|country| country.parse().unwrap()).collect(),
        };
        let none = of(&["+49"], &path).remark().unwrap();
        assert!(none.contains("no phone in it of registration.countries"), "{none}");
        assert_eq!(of(&["+49", "+1"], &path).remark(), None);
        assert!(
            of(&["+999", "+9990"], Path::new("")).remark().unwrap().contains("names no country")
        );
        assert_eq!(of(&["+999", "+49"], Path::new("")).remark(), None);
        // Whoever closes it has said so.
        assert_eq!(remark(false, ""), None);
        assert_eq!(RegistrationConfig::default().remark(), None);
    }

    #[test]
    fn a_mistake_in_a_file_of_phones_is_named_by_its_line_and_not_shown() {
        for (file, line) in [
            ("+15550001111\n015550002222\n", "line 2 is no phone"),
            ("\n\n+1 5550002222\n", "line 3 is no phone"),
            ("+15550002222, +15550003333", "line 1 is no phone"),
        ] {
            let error = policy(file).unwrap_err();
            assert!(
                error.starts_with("registration.allow_file: /") && error.contains(line),
                "{error}"
            );
            assert!(!error.contains("5550002222"), "{error}");
        }
    }

    #[test]
    fn a_file_of_too_many_phones_is_refused() {
        let many = "+15550001111\n".repeat(RegistrationPolicy::MAX_PHONES + 1);
        assert!(
            policy(&many).unwrap_err().contains("there may be 300 countries, and 100000 phones")
        );
        assert!(policy(&"#".repeat(LARGEST + 1)).unwrap_err().contains("it is larger than"));
    }
}
