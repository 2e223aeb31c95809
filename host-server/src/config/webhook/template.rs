//! The text of a request, with places for phone and code.

use zeroize::Zeroizing;

/// How a value is written so that the text around it keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is: a phone is `+` and digits, and a code is digits, which mean themselves in JSON, too.
    Plain,
    /// For a form, in which `+` means a space.
    Form,
}

impl Encoding {
    /// What a content type asks for.
    pub(super) fn of(content_type: &str) -> Self {
        match media_type(content_type) == "application/x-www-form-urlencoded" {
            true => Self::Form,
            false => Self::Plain,
        }
    }
}

/// A content type without its parameters.
pub(super) fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A text that was taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Phone,
    Code,
}

impl Template {
    /// Takes a text apart. `{phone}` and `{code}` have to be in it. Another word in braces is a mistake;
    /// braces around anything else, as in JSON, are text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut rest, mut plain) = (Vec::new(), text, String::new());
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            match word(from) {
                None => {
                    plain.push('{');
                    rest = &from[1..];
                }
                Some(name) => {
                    let piece = match name {
                        "phone" => Piece::Phone,
                        "code" => Piece::Code,
                        _ => {
                            return Err(format!(
                                "{{{name}}} stands for nothing: write {{phone}} and {{code}}"
                            ));
                        }
                    };
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(piece);
                    rest = &from[name.len() + 2..];
                }
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        for (piece, name) in [(Piece::Phone, "{phone}"), (Piece::Code, "{code}")] {
            if !pieces.contains(&piece) {
                return Err(format!("there is no {name} in it, and so nobody would get a code"));
            }
        }
        Ok(Self(pieces))
    }

    /// The text for this phone and this code.
    pub(super) fn fill(&self, phone: &str, code: &[u8], encoding: Encoding) -> Zeroizing<Vec<u8>> {
        let phone = match encoding {
            Encoding::Plain => phone.to_owned(),
            Encoding::Form => phone.replace('+', "%2B"),
        };
        let bytes = |piece| match piece {
            &Piece::Phone => phone.as_bytes(),
            &Piece::Code => code,
            Piece::Text(text) => text.as_bytes(),
        };
        // Room for all of it at once: a vector that grows leaves copies behind.
        let length = self.0.iter().map(|piece| bytes(piece).len()).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(length));
        self.0.iter().for_each(|piece| text.extend_from_slice(bytes(piece)));
        text
    }
}

/// The word between a brace at the beginning and the next one, if it is one.
fn word(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    let is_word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_word.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, encoding: Encoding) -> String {
        let template = Template::parse(text).unwrap();
        String::from_utf8(template.fill("+15550001111", b"012345", encoding).to_vec()).unwrap()
    }

    #[test]
    fn phone_and_code_take_their_places_and_other_braces_stay() {
        for (text, expected) in [
            ("{phone} {code}", "+15550001111 012345"),
            (
                r#"{"to":"{phone}","n":{"code":"{code}"}}"#,
                r#"{"to":"+15550001111","n":{"code":"012345"}}"#,
            ),
            ("{{code}}{phone}{", "{012345}+15550001111{"),
            ("{ code } {} {phone}{code}", "{ code } {} +15550001111012345"),
        ] {
            assert_eq!(filled(text, Encoding::Plain), expected);
        }
        assert_eq!(
            filled("to={phone}&text={code}", Encoding::Form),
            "to=%2B15550001111&text=012345"
        );
    }

    #[test]
    fn a_template_without_its_places_or_with_others_is_a_mistake() {
        for (text, why) in [
            ("{phone}", "there is no {code}"),
            ("{code}", "there is no {phone}"),
            ("", "there is no {phone}"),
            ("{phone} {code} {name}", "{name} stands for nothing"),
            ("{Phone} {code}", "{Phone} stands for nothing"),
        ] {
            assert!(Template::parse(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn a_form_is_known_by_its_content_type() {
        for (content_type, encoding) in [
            ("application/json", Encoding::Plain),
            ("text/plain; charset=utf-8", Encoding::Plain),
            ("application/x-www-form-urlencoded", Encoding::Form),
            ("Application/X-WWW-Form-Urlencoded ; charset=utf-8", Encoding::Form),
        ] {
            assert_eq!(Encoding::of(content_type), encoding, "{content_type}");
        }
    }
}
