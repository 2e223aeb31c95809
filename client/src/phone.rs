//! Phone numbers as people type them.

use waxwing_core::phone::Phone;

/// What stands in front of a number within a country, and is left out abroad. (ITU-T, national numbering
/// plans.)
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trunk {
    /// These digits.
    Digits(&'static str),
    /// This digit, which many leave out. The number itself has ten digits.
    Optional(&'static str),
    /// Nothing, and no number begins with a zero.
    Nothing,
    /// Nothing: a zero in front belongs to the number.
    ZeroBelongs,
}

/// Countries, by their code, that differ from most: there it is a zero.
const TRUNKS: [(&str, Trunk); 11] = [
    ("1", Trunk::Optional("1")),
    ("7", Trunk::Optional("8")),
    ("36", Trunk::Digits("06")),
    ("375", Trunk::Digits("80")),
    ("993", Trunk::Digits("8")),
    ("39", Trunk::ZeroBelongs),
    ("225", Trunk::ZeroBelongs),
    ("226", Trunk::ZeroBelongs),
    ("229", Trunk::ZeroBelongs),
    ("242", Trunk::ZeroBelongs),
    ("378", Trunk::ZeroBelongs),
];

/// Countries, by their code, in which nothing stands in front, and no number begins with a zero.
#[rustfmt::skip]
const NO_TRUNK: [&str; 91] = [
    "30", "34", "45", "47", "48", "52", "56", "65", "216", "220", "221", "222", "223", "224",
    "227", "228", "230", "235", "236", "237", "238", "239", "240", "244", "245", "246", "247",
    "248", "253", "257", "258", "266", "267", "268", "269", "290", "297", "298", "299", "350",
    "351", "352", "354", "356", "357", "371", "372", "376", "420", "500", "501", "502", "503",
    "504", "505", "506", "507", "509", "592", "597", "599", "670", "672", "673", "674", "675",
    "676", "677", "678", "679", "680", "681", "682", "683", "685", "687", "688", "689", "690",
    "691", "692", "852", "853", "960", "965", "968", "973", "974", "975", "992", "998",
];

/// Countries, by their code, in which something else than 00 is dialled before the code of another country.
/// Where companies have prefixes of their own, those that are in common use. (ITU-T, international prefixes.)
const ABROAD: [(&str, &[&str]); 24] = [
    ("1", &["011"]),
    ("7", &["810"]),
    ("53", &["119"]),
    ("61", &["0011"]),
    ("62", &["001", "007", "008", "009"]),
    ("65", &["001", "002", "008", "012", "013", "018", "019", "020"]),
    ("66", &["001", "007", "008", "009"]),
    ("81", &["010"]),
    ("82", &["001", "002", "005", "006", "008", "00700"]),
    ("234", &["009"]),
    ("254", &["000"]),
    ("255", &["000"]),
    ("256", &["000"]),
    ("375", &["810"]),
    ("592", &["001"]),
    ("691", &["011"]),
    ("692", &["011"]),
    ("852", &["001"]),
    ("855", &["001", "007", "008"]),
    ("886", &["002", "005", "006", "007", "009"]),
    ("972", &["012", "013", "014"]),
    ("976", &["001"]),
    ("992", &["810"]),
    ("993", &["810"]),
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

    /// What is dialled here before the code of another country, unless that is 00.
    fn abroad(&self) -> &'static [&'static str] {
        ABROAD.iter().find(|(code, _)| *code == self.code).map_or(&[], |(_, prefixes)| prefixes)
    }

    fn trunk(&self) -> Trunk {
        let known = TRUNKS.iter().find(|(code, _)| *code == self.code);
        match known {
            Some((_, trunk)) => *trunk,
            None if NO_TRUNK.contains(&self.code.as_str()) => Trunk::Nothing,
            None => Trunk::Digits("0"),
        }
    }

    /// Digits as they are dialled within the country, with its code in front; or how they would have to
    /// begin.
    fn complete(&self, digits: &str) -> Result<String, String> {
        let trunk = self.trunk();
        let national = match trunk {
            Trunk::Digits(trunk) => digits.strip_prefix(trunk).ok_or(format!("with {trunk}"))?,
            Trunk::Optional(trunk) => {
                let without = digits.strip_prefix(trunk).filter(|rest| rest.len() == 10);
                without.unwrap_or(digits)
            }
            Trunk::Nothing | Trunk::ZeroBelongs => digits,
        };
        if national.starts_with('0') && trunk != Trunk::ZeroBelongs {
            return Err(match trunk {
                Trunk::Digits(trunk) => format!("with {trunk}, and no zero follows"),
                _ => "with no zero".to_owned(),
            });
        }
        Ok(format!("{}{national}", self.code))
    }
}

fn zero_belongs(number: &str) -> bool {
    let belongs = |(code, trunk): &(&str, Trunk)| {
        *trunk == Trunk::ZeroBelongs && number.trim_start().starts_with(code)
    };
    TRUNKS.iter().any(belongs)
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

/// What stands behind a country's way of dialling abroad, or behind a +: a number with the code of its
/// country. A 00 is understood everywhere: numbers are copied from other countries.
fn international<'a>(text: &'a str, country: Option<&Country>) -> Option<&'a str> {
    let own = country.map_or(&[][..], Country::abroad);
    ["+"].iter().chain(own).chain(&["00"]).find_map(|prefix| behind(text, prefix))
}

/// What stands behind these characters, whatever is written between them.
fn behind<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    prefix.chars().try_fold(text.trim_start(), |rest, character| {
        rest.trim_start_matches(is_decoration).strip_prefix(character)
    })
}

/// The phone number that somebody has typed: `+49 151 123-456-78`, `0049…`, and with a country also
/// `0151…`, and `01149…` where that is how to dial abroad.
///
/// # Errors
/// What to type instead.
pub fn read(text: &str, country: Option<&Country>) -> Result<Phone, String> {
    const FORM: &str =
        "a phone number is + and 7 to 15 digits, the first not 0, such as +4915112345678";
    if !text.trim_start().chars().all(is_part) {
        return Err(FORM.to_owned());
    }
    let digits = |text: &str| -> String {
        text.chars().filter(|&character| !is_decoration(character)).collect()
    };
    let number = match (international(text, country), country) {
        // `+49 (0)151…` is how many people write it; the zero is not dialled from abroad, unless it
        // belongs to the number.
        (Some(rest), _) if !zero_belongs(rest) => digits(&rest.replacen("(0)", "", 1)),
        (Some(rest), _) => digits(rest),
        (None, Some(country)) => {
            let digits = digits(text);
            country.complete(&digits).map_err(|begin| {
                format!(
                    "{digits} has no country's code, and numbers within +{} begin {begin}; write the \
                     number with + and the country's code",
                    country.code,
                )
            })?
        }
        (None, None) => {
            return Err(format!(
                "{FORM}. To leave the country's code out, write it into the configuration: \
                 country = \"+49\""
            ));
        }
    };
    Phone::parse(format!("+{number}").as_bytes()).map_err(|_| FORM.to_owned())
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
            ("0049 (0)151 12345678", None, "+4915112345678"),
            ("0039 (0)6 1234 5678", None, "+390612345678"),
            ("0151/12345678", Some("+49"), "+4915112345678"),
            ("0044 20 7946 0000", Some("49"), "+442079460000"),
            ("(415) 555-0100", Some("+1"), "+14155550100"),
            ("1-415-555-0100", Some("+1"), "+14155550100"),
            ("8 912 345-67-89", Some("+7"), "+79123456789"),
            ("06 1 234 5678", Some("+36"), "+3612345678"),
            ("06 1234 5678", Some("+39"), "+390612345678"),
            ("612 34 56 78", Some("+34"), "+34612345678"),
            ("+39 (0)6 1234 5678", None, "+390612345678"),
            ("0549 886377", Some("+378"), "+3780549886377"),
            ("07 07 12 34 56", Some("+225"), "+2250707123456"),
            ("07 12 34 56", Some("+226"), "+22607123456"),
            ("8 029 123-45-67", Some("+375"), "+375291234567"),
            ("011 49 (0)151 12345678", Some("+1"), "+4915112345678"),
            ("8-10-49-151-12345678", Some("+7"), "+4915112345678"),
            ("0011 49 151 12345678", Some("+61"), "+4915112345678"),
            ("001 49 151 12345678", Some("+852"), "+4915112345678"),
            ("010 1 415 555 0100", Some("+81"), "+14155550100"),
            ("0049 151 12345678", Some("+1"), "+4915112345678"),
            ("0044 20 7946 0000", Some("+852"), "+442079460000"),
        ] {
            assert_eq!(typed(text, country).as_deref(), Some(phone), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_not_a_whole_one_is_refused_with_what_to_do() {
        for (text, country, help) in [
            ("0151 12345678", None, "country = "),
            ("151 12345678", Some("+49"), "numbers within +49 begin with 0"),
            ("0151 12345678", Some("+1"), "numbers within +1 begin with no zero"),
            ("011 49 151 12345678", None, "country = "),
            ("011", Some("+1"), "7 to 15 digits"),
            ("0612 345 678", Some("+34"), "numbers within +34 begin with no zero"),
            ("06 012 3456", Some("+36"), "no zero follows"),
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
