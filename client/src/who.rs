//! Somebody, as a person names them: by phone number or by a name of the home.

use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;

use crate::exit::Failure;
use crate::home::Home;
use crate::phone::{self, Country};
use crate::show;

/// What was typed for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who(String);

/// Whose letters are meant, or which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LettersOf {
    /// One, and those that it waits for.
    Letter(Uid),
    /// Those to somebody.
    Person(Who),
}

impl Who {
    /// A name or a phone number. One with the code of its country is checked now; for others it takes
    /// settings and a home.
    ///
    /// # Errors
    /// What to type instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_international = text.trim_start().starts_with('+');
        if text.trim().is_empty() {
            return Err("a name, or a phone number such as +4915112345678, is needed".to_owned());
        }
        if is_international {
            phone::read(text, None)?;
        }
        Ok(Self(text.to_owned()))
    }

    /// A phone number.
    ///
    /// # Errors
    /// What to type instead.
    pub fn phone(text: &str) -> Result<Self, String> {
        if phone::is_meant(text) {
            Self::parse(text)
        } else {
            phone::read(text, None).map(|phone| Self(phone.as_str().to_owned()))
        }
    }

    /// As it was typed, for what is said about it on a terminal.
    #[must_use]
    pub fn as_typed(&self) -> String {
        show::for_line(&self.0)
    }

    /// The same as the last word of a command.
    #[must_use]
    pub fn for_shell(&self) -> String {
        show::for_shell(&self.0).into_owned()
    }

    /// The phone number, if it was typed as such.
    ///
    /// # Errors
    /// [`Failure::Usage`] when it is none.
    pub fn number(&self, country: Option<&Country>) -> Result<Option<Phone>, Failure> {
        if !phone::is_meant(&self.0) {
            return Ok(None);
        }
        phone::read(&self.0, country).map(Some).map_err(Failure::Usage)
    }

    /// Who that is.
    ///
    /// # Errors
    /// [`Failure::Usage`] when it is nobody.
    pub fn find(&self, home: &Home, country: Option<&Country>) -> Result<Phone, Failure> {
        if let Some(phone) = self.number(country)? {
            return Ok(phone);
        }
        home.conversations().named(&self.0)?.ok_or_else(|| {
            Failure::Usage(format!(
                "nobody in this home is called {}; `waxwing contacts` shows who has a name, and \
                 `waxwing name PHONE NAME` gives one",
                self.as_typed()
            ))
        })
    }
}
