//! Programs that get letters, for people and for programs.

use serde::Serialize;

use super::{Page, for_line, for_shell};
use crate::clock;
use crate::home::{Consumer, Deletion, Home, HomeError};

/// A consumer, as a JSON object has it.
#[derive(Serialize)]
pub struct ConsumerLine {
    consumer: String,
    /// Letters that it is not done with.
    waiting: u32,
    /// When it has last said that it is done with one.
    acknowledged_at: Option<String>,
}

impl ConsumerLine {
    /// Every consumer of a home.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn all(home: &Home) -> Result<Vec<Self>, HomeError> {
        let all = home.consumers().all()?;
        Ok(all.into_iter().map(Self::of).collect())
    }

    fn of(consumer: Consumer) -> Self {
        Self {
            consumer: consumer.name,
            waiting: consumer.waiting,
            acknowledged_at: consumer.acknowledged_at.map(clock::rfc3339),
        }
    }
}

/// A consumer, for a person.
#[must_use]
pub fn consumer_text(consumer: &Consumer, page: &Page<'_>) -> String {
    let last = consumer.acknowledged_at.map_or_else(
        || "was never done with one".to_owned(),
        |at| format!("was last done with one on {}", clock::in_zone(at, page.zone)),
    );
    let letters = if consumer.waiting == 1 { "letter waits" } else { "letters wait" };
    page.fit(&format!("{}  {} {letters}; it {last}", for_line(&consumer.name), consumer.waiting))
}

/// Why so many of the letters that were to be deleted are not, and what to do.
///
/// # Errors
/// [`HomeError::Database`].
pub fn kept_for_programs(
    home: &Home,
    which: &Deletion,
    letters: usize,
) -> Result<String, HomeError> {
    let waiting = home.keep_from_deletion(which)?;
    let name = if let [name] = waiting.as_slice() { for_shell(name) } else { "NAME".into() };
    Ok(format!(
        "a program is not done with {} ({}); delete again when it is, or have it forgotten by \
         `waxwing consumers remove {name}`",
        if letters == 1 { "it" } else { "them" },
        for_line(&waiting.join(", ")),
    ))
}
