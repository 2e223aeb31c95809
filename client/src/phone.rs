//! Phone numbers as people type them.

use waxwing_core::phone::Phone;

/// How numbers are written within a country whose code begins with these digits, where it is not a 0
/// that stands in front and is left out abroad. (ITU-T, national numbering plans.)
const TRUNKS: [(&str, &str); 27] = [
    ("1", "1"),
    ("7", "8"),
    ("30", ""),
    ("34", ""),
    ("36", "06"),
    ("39", ""),
    ("45", ""),
    ("47", ""),
    ("48", ""),
    ("65", ""),
    ("351", ""),
    ("352", ""),
    ("354", ""),
    ("356", ""),
    ("357", ""),
    ("371", ""),
    ("372", ""),
    ("376", ""),
    ("377", ""),
    ("378", ""),
    ("420", ""),
    ("502", ""),
    ("503", ""),
    ("506", ""),
    ("507", ""),
    ("852", ""),
    ("968", ""),
];

/// The country whose numbers may be typed without its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Country {
    code: String,
}

impl Country {
    /// A country by its code, such as `+49`.
    ///
    /// # Errors
    /// What is wrong with it, for the person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let code = text.strip_prefix('+').unwrap_or(text);
        let is_code = (1..=3).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_digit())
            && !code.starts_with('0');
        if is_code {
            Ok(Self { code: code.to_owned() })
        } else {
            Err("a country is + and one to three digits, such as +49".to_owned())
        }
    }

    /// What stands in front of a number within the country.
    fn trunk(&self) -> &'static str {
        TRUNKS.iter().find(|(code, _)| *code == self.code).map_or("0", |(_, trunk)| *trunk)
    }

    /// Digits as they are dialled within the country, with its code in front.
    fn complete(&self, digits: &str) -> Option<String> {
        let national = match self.trunk() {
            // Within North America, and where an old trunk is going out of use, it may be left out.
            trunk @ ("1" | "8") => digits.strip_prefix(trunk).filter(|rest| rest.len() == 10),
            trunk => return digits.strip_prefix(trunk).map(|rest| format!("{}{rest}", self.code)),
        };
        Some(format!("{}{}", self.code, national.unwrap_or(digits)))
    }
}

/// Whether somebody who typed this meant a phone number, and not a name.
#[must_use]
pub fn is_meant(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.chars().all(is_part)
}

fn is_part(character: char) -> bool {
    character.is_ascii_digit() || character == '+' || is_decoration(character)
}

/// What people write between digits.
fn is_decoration(character: char) -> bool {
    matches!(character, ' ' | '-' | '(' | ')' | '.' | '/' | '\u{a0}' | '\u{2010}'..='\u{2013}')
}

/// The phone number that somebody has typed: `+49 151 123-456-78`, `0049…`, and with a country also
/// `0151…`.
///
/// # Errors
/// What to type instead.
pub fn read(text: &str, country: Option<&Country>) -> Result<Phone, String> {
    const FORM: &str =
        "a phone number is + and 7 to 15 digits, the first not 0, such as +4915112345678";
    // `+49 (0)151…` is how many people write it; the zero is not dialled from abroad.
    let text = match text.trim_start().strip_prefix('+') {
        Some(rest) => format!("+{}", rest.replacen("(0)", "", 1)),
        None => text.to_owned(),
    };
    if !text.chars().all(is_part) {
        return Err(FORM.to_owned());
    }
    let digits: String = text.chars().filter(|&character| !is_decoration(character)).collect();
    let international = if digits.starts_with('+') {
        digits
    } else if let Some(rest) = digits.strip_prefix("00") {
        format!("+{rest}")
    } else if let Some(country) = country {
        let completed = country.complete(&digits).ok_or_else(|| {
            format!(
                "{digits} has neither a country's code nor the {} that numbers within +{} begin with; \
                 write the number with + and the country's code",
                country.trunk(),
                country.code,
            )
        })?;
        format!("+{completed}")
    } else {
        return Err(format!(
            "{FORM}. To leave the country's code out, write it into the configuration: \
             country = \"+49\""
        ));
    };
    Phone::parse(international.as_bytes()).map_err(|_| FORM.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str, country: Option<&str>) -> Option<String> {
        let country = country.map(|code| Country::parse(code).unwrap());
        read(text, country.as_ref()).ok().map(|phone| phone.as_str().to_owned())
    }

    #[test]
    fn numbers_are_taken_as_people_write_them() {
        for (text, country, phone) in [
            ("+4915112345678", None, "+4915112345678"),
            (" +49 151 123-456.78 ", None, "+4915112345678"),
            ("+49 (0)151 12345678", None, "+4915112345678"),
            ("0049 (151) 12345678", None, "+4915112345678"),
            ("0151/12345678", Some("+49"), "+4915112345678"),
            ("0044 20 7946 0000", Some("49"), "+442079460000"),
            ("(415) 555-0100", Some("+1"), "+14155550100"),
            ("1-415-555-0100", Some("+1"), "+14155550100"),
            ("8 912 345-67-89", Some("+7"), "+79123456789"),
            ("06 1 234 5678", Some("+36"), "+3612345678"),
            ("06 1234 5678", Some("+39"), "+390612345678"),
            ("612 34 56 78", Some("+34"), "+34612345678"),
        ] {
            assert_eq!(typed(text, country).as_deref(), Some(phone), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_not_a_whole_one_is_refused_with_what_to_do() {
        for (text, country, help) in [
            ("0151 12345678", None, "country = "),
            ("151 12345678", Some("+49"), "the 0 that numbers within +49 begin with"),
            ("+49", None, "7 to 15 digits"),
            ("++4915112345678", None, "7 to 15 digits"),
            ("+4915112345678+", None, "7 to 15 digits"),
            ("+0151123456", None, "the first not 0"),
            ("00", None, "7 to 15 digits"),
            ("+49151123456789012", None, "7 to 15 digits"),
            ("\u{ff0b}4915112345678", None, "7 to 15 digits"),
        ] {
            let country = country.map(|code| Country::parse(code).unwrap());
            let error = read(text, country.as_ref()).unwrap_err();
            assert!(error.contains(help), "{text}: {error}");
        }
        for code in ["", "+", "0", "+049", "+4915", "DE"] {
            assert!(Country::parse(code).is_err(), "{code}");
        }
    }

    #[test]
    fn names_are_not_taken_for_numbers() {
        for (text, is_number) in [("0151 1", true), ("+49", true), ("Ann 2", false), ("-", false)] {
            assert_eq!(is_meant(text), is_number, "{text}");
        }
    }
}
