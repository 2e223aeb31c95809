//! What a misspelt key was meant to be.

/// The key that was meant, if one is near: first of the same section, or of one that is misspelt; then of another
/// section.
pub(super) fn key<'a>(wrong: &str, keys: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let (section, leaf) = split(wrong);
    let mut same = keys.clone().filter(|key| split(key).0 == section).peekable();
    let in_section = match same.peek() {
        Some(_) => nearest(leaf, same, |key| split(key).1),
        None => nearest(wrong, keys.clone(), |key| key),
    };
    in_section.or_else(|| nearest(leaf, keys, |key| split(key).1))
}

/// The section that was meant, if one is near.
pub(super) fn section<'a>(wrong: &str, sections: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest(wrong, sections, |section| section)
}

/// Section and name.
fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('.').unwrap_or(("", key))
}

/// The candidate with the fewest letters to change, unless there are so many that it is another word.
fn nearest<'a>(
    wrong: &str,
    candidates: impl Iterator<Item = &'a str>,
    compared: impl Fn(&'a str) -> &'a str,
) -> Option<&'a str> {
    let distance = |candidate| strsim::levenshtein(wrong, compared(candidate));
    let distances = candidates.map(|candidate| (distance(candidate), candidate));
    let (letters, candidate) = distances.min_by_key(|(letters, _)| *letters)?;
    (letters <= 1 + wrong.chars().count() / 4).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 7] = [
        "server.listen",
        "server.data",
        "otp.ttl",
        "letters.life",
        "limits.letters_per_pair",
        "limits.ban_after",
        "storage.url",
    ];

    #[test]
    fn the_nearest_key_is_found_across_sections() {
        for (wrong, meant) in [
            ("server.lisen", "server.listen"),
            ("listen", "server.listen"),
            ("storage.life", "letters.life"),
            ("limits.leters_per_pairs", "limits.letters_per_pair"),
            ("limts.ban_after", "limits.ban_after"),
        ] {
            assert_eq!(key(wrong, KEYS.into_iter()), Some(meant), "{wrong}");
        }
    }

    #[test]
    fn one_of_the_same_section_comes_first_and_a_word_of_its_own_is_near_to_nothing() {
        let keys = ["log.level", "metrics.lvel", "metrics.listen"];
        assert_eq!(key("log.lvel", keys.into_iter()), Some("log.level"));
        assert_eq!(key("limts.a", KEYS.into_iter()), None);
        assert_eq!(key("limits.a", KEYS.into_iter()), None);
        assert_eq!(section("limts", ["log", "limits"].into_iter()), Some("limits"));
        assert_eq!(section("people", ["log", "limits"].into_iter()), None);
    }
}
