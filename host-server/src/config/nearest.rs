//! What a misspelt key was meant to be.

/// The candidate with the fewest letters to change. A key without its section is not far away.
pub(super) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let leaf = |name: &'a str| name.rsplit_once('.').map_or(name, |(_, leaf)| leaf);
    let wrong_leaf = wrong.rsplit_once('.').map_or(wrong, |(_, leaf)| leaf);
    candidates
        .into_iter()
        .min_by_key(|name| distance(wrong, name).min(distance(wrong_leaf, leaf(name)) + 1))
}

/// Levenshtein's: letters to insert, delete or replace.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, wanted) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (one, other, expected) in
            [("", "", 0), ("abc", "abc", 0), ("", "abc", 3), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(one, other), expected);
            assert_eq!(distance(other, one), expected);
        }
    }

    #[test]
    fn the_nearest_key_is_found_across_sections() {
        let keys = ["server.listen", "otp.ttl", "letters.life", "limits.letters_per_pair"];
        for (wrong, meant) in [
            ("server.lisen", "server.listen"),
            ("listen", "server.listen"),
            ("storage.life", "letters.life"),
            ("limits.leters_per_pairs", "limits.letters_per_pair"),
        ] {
            assert_eq!(nearest(wrong, keys), Some(meant));
        }
    }
}
