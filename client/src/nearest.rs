//! What a misspelt word was meant to be.

/// The word among these that was meant, if one is near: one that differs in a few letters. Anything else is another word.
pub(crate) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.map(|known| (strsim::levenshtein(known, wrong), known));
    let (letters, known) = distances.min_by_key(|(letters, _)| *letters)?;
    (letters <= 1 + wrong.chars().count() / 4).then_some(known)
}

/// What is said of it behind the statement that there is no such word.
pub(crate) fn in_words(nearest: Option<&str>) -> String {
    nearest.map(|known| format!("; {known} is the nearest")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_near_when_a_few_of_its_letters_differ() {
        let found = |wrong| nearest(wrong, ["send", "history", "status"].into_iter());
        for (wrong, meant) in [("sned", "send"), ("hystorie", "history"), ("Status", "status")] {
            assert_eq!(found(wrong), Some(meant), "{wrong}");
        }
        for other in ["", "fly", "system.listMethods"] {
            assert_eq!(found(other), None, "{other}");
        }
        assert_eq!(in_words(Some("send")), "; send is the nearest");
        assert_eq!(in_words(None), "");
    }
}
