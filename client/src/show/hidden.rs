//! Characters that nobody sees, and the places where a script or an emoji needs one.
//!
//! What is invisible can carry a message past the reader, fill a line with nothing, or move what is
//! visible. So it is shown by its code, except where text that people write is not right without it.

use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

/// Whether a character acts on a terminal, or leaves nothing to see.
pub(crate) fn is_hidden(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        // Signs that stand over the number which follows. They are visible.
        '\u{600}'..='\u{605}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'
        | '\u{891}'
        | '\u{8e2}'
        | '\u{110bd}'
        | '\u{110cd}' => false,
        // Joiners, fillers and selectors that are counted as letters or marks, and two signs that
        // are blank.
        '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180d}'
        | '\u{180f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}'
        | '\u{1d159}'
        | '\u{e0100}'..='\u{e01ef}' => true,
        other => matches!(
            other.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::PrivateUse
                | GeneralCategory::Surrogate
                | GeneralCategory::Unassigned
        ),
    }
}

/// Whether a hidden character does what it is for, between these two.
pub(super) fn is_needed(before: Option<char>, hidden: char, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    match hidden {
        // Zero-width joiner: one emoji out of several, Indic ligatures, forms of Arabic letters.
        '\u{200d}' => {
            ((is_emoji(before) || before == '\u{fe0f}') && after.is_some_and(is_emoji))
                || is_virama(before)
                || joins(before)
        }
        // Zero-width non-joiner: what would join, and does not.
        '\u{200c}' => is_virama(before) || (joins(before) && after.is_some_and(joins)),
        // Zero-width space: between words in scripts that write none.
        '\u{200b}' => has_no_spaces(before) && after.is_some_and(has_no_spaces),
        // Text or emoji.
        '\u{fe0e}' | '\u{fe0f}' => {
            is_emoji(before)
                || (matches!(before, '0'..='9' | '#' | '*') && after == Some('\u{20e3}'))
        }
        // Which form of a Chinese character is meant; names depend on it.
        '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => is_ideograph(before),
        '\u{180b}'..='\u{180f}' => matches!(before, '\u{1820}'..='\u{18aa}'),
        _ => false,
    }
}

/// The three flags that are written with tag characters: after a black flag, the letters of the
/// region. How many bytes of `text`, which follows the flag, belong to it.
pub(super) fn flag_tags(text: &str) -> Option<usize> {
    let region = |name: &str| {
        let mut rest = text.chars();
        let tag = |letter: char| char::from_u32(0xe_0000 + u32::from(letter));
        name.chars().all(|letter| rest.next() == tag(letter)) && rest.next() == Some('\u{e007f}')
    };
    // Each tag has four bytes, and the last ends the sequence.
    ["gbeng", "gbsct", "gbwls"].into_iter().find(|name| region(name)).map(|name| name.len() * 4 + 4)
}

fn is_emoji(character: char) -> bool {
    !character.is_ascii() && character.is_emoji_char()
}

/// The sign by which consonants of an Indic script come together.
fn is_virama(character: char) -> bool {
    matches!(
        character,
        '\u{94d}'
            | '\u{9cd}'
            | '\u{a4d}'
            | '\u{acd}'
            | '\u{b4d}'
            | '\u{bcd}'
            | '\u{c4d}'
            | '\u{ccd}'
            | '\u{d4d}'
            | '\u{dca}'
            | '\u{1039}'
            | '\u{17d2}'
    )
}

/// Letters and marks of scripts whose letters join: Arabic, Syriac, N'Ko, Mongolian.
fn joins(character: char) -> bool {
    let in_script = matches!(
        character,
        '\u{610}'..='\u{61a}' | '\u{620}'..='\u{65f}' | '\u{66e}'..='\u{6d3}' | '\u{6d5}'..='\u{6dc}'
            | '\u{6fa}'..='\u{6fc}' | '\u{6ff}' | '\u{710}'..='\u{77f}' | '\u{7ca}'..='\u{7f5}'
            | '\u{8a0}'..='\u{8ff}' | '\u{1820}'..='\u{18aa}'
    );
    in_script && !is_hidden(character)
}

/// Thai, Lao, Tibetan, Myanmar, Khmer.
fn has_no_spaces(character: char) -> bool {
    let in_script = matches!(character, '\u{e00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}');
    in_script && !is_hidden(character)
}

fn is_ideograph(character: char) -> bool {
    matches!(
        character,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}
