//! What a method takes. One table says it to whoever calls, to the schema, and to the check before a
//! method runs.

use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use crate::nearest;
use crate::show;

/// One thing that a method takes.
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    /// What it is, for whoever reads the schema.
    pub(super) what: &'static str,
}

/// What a parameter can be.
pub(super) enum Kind {
    /// A text of at most so many bytes.
    Text(usize),
    /// A text of at most so many bytes, in which a person sees something.
    Name(usize),
    /// A whole number between the two, both included.
    Whole(u64, u64),
    /// True or false.
    Truth,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words.
    Words(&'static [&'static str]),
}

impl Param {
    /// One without which the method makes no sense.
    pub(super) const fn required(name: &'static str, kind: Kind, what: &'static str) -> Self {
        Self { name, kind, is_required: true, what }
    }

    /// One that can be left out.
    pub(super) const fn optional(name: &'static str, kind: Kind, what: &'static str) -> Self {
        Self { name, kind, is_required: false, what }
    }
}

impl Kind {
    /// As JSON Schema says it.
    pub(super) fn schema(&self) -> Value {
        match self {
            Self::Text(longest) => json!({ "type": "string", "maxLength": longest }),
            Self::Name(longest) => {
                json!({ "type": "string", "minLength": 1, "maxLength": longest })
            }
            Self::Whole(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Self::Truth => json!({ "type": "boolean" }),
            Self::Word(words) => json!({ "enum": words }),
            Self::Words(words) => json!({ "type": "array", "items": { "enum": words } }),
        }
    }

    /// What is wrong with a value; nothing if it is right.
    fn wrong_with(&self, value: &Value) -> Option<String> {
        match self {
            Self::Text(longest) => match value.as_str() {
                None => Some("it is a text".to_owned()),
                Some(text) if text.len() > *longest => {
                    Some(format!("it has at most {longest} bytes"))
                }
                Some(_) => None,
            },
            Self::Name(longest) => Self::Text(*longest).wrong_with(value).or_else(|| {
                let is_blank = value.as_str().is_some_and(show::is_blank);
                is_blank.then(|| "it is empty; give a name that can be seen".to_owned())
            }),
            Self::Whole(least, most) => {
                let is_right =
                    value.as_u64().is_some_and(|number| (*least..=*most).contains(&number));
                (!is_right).then(|| format!("it is a whole number from {least} to {most}"))
            }
            Self::Truth => (!value.is_boolean()).then(|| "it is true or false".to_owned()),
            Self::Word(words) => {
                let is_right = value.as_str().is_some_and(|word| words.contains(&word));
                (!is_right).then(|| format!("it is one of: {}", words.join(", ")))
            }
            Self::Words(words) => {
                let is_right = value.as_array().is_some_and(|given| {
                    given.iter().all(|word| word.as_str().is_some_and(|word| words.contains(&word)))
                });
                (!is_right).then(|| format!("it is an array of some of: {}", words.join(", ")))
            }
        }
    }
}

/// Parameters that are what their method takes.
#[derive(Debug)]
pub(super) struct Params(Map<String, Value>);

impl Params {
    /// Checks what was given.
    pub(super) fn check(known: &[Param], mut given: Map<String, Value>) -> Result<Self, Refusal> {
        given.retain(|_, value| !value.is_null());
        for name in given.keys() {
            if !known.iter().any(|param| param.name == name) {
                return Err(unknown(known, name));
            }
        }
        for param in known {
            match given.get(param.name) {
                None if param.is_required => {
                    let why = format!("{} is missing: {}", param.name, param.what);
                    return Err(Refusal::bad_params(why));
                }
                None => {}
                Some(value) => {
                    if let Some(why) = param.kind.wrong_with(value) {
                        return Err(Refusal::bad_params(format!("{}: {why}", param.name)));
                    }
                }
            }
        }
        Ok(Self(given))
    }

    /// A text, or one of several words.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A text that is there, because its method requires it.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::bad_params(format!("{name} is missing")))
    }

    /// A whole number.
    pub(super) fn whole(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    /// True or false.
    pub(super) fn truth(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool()
    }

    /// Some of several words.
    pub(super) fn words(&self, name: &str) -> Option<Vec<&str>> {
        Some(self.0.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }
}

fn unknown(known: &[Param], name: &str) -> Refusal {
    let names = || known.iter().map(|param| param.name);
    let takes = match known {
        [] => "nothing".to_owned(),
        _ => names().collect::<Vec<_>>().join(", "),
    };
    Refusal::bad_params(format!(
        "there is no parameter {name:?}{}. This method takes {takes}",
        nearest::in_words(nearest::nearest(name, names()))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Param] = &[
        Param::required("to", Kind::Text(4), "whom it is for"),
        Param::optional("limit", Kind::Whole(1, 9), ""),
        Param::optional("all", Kind::Truth, ""),
        Param::optional("key", Kind::Name(4), ""),
        Param::optional("begin", Kind::Word(&["now", "oldest"]), ""),
        Param::optional("events", Kind::Words(&["letter", "status"]), ""),
    ];

    fn check(given: &Value) -> Result<Params, String> {
        let given = given.as_object().unwrap().clone();
        Params::check(KNOWN, given).map_err(|refusal| serde_json::to_string(&refusal).unwrap())
    }

    #[test]
    fn what_a_method_takes_is_at_hand() {
        let params = check(&json!({
            "to": "Ann", "limit": 9, "all": false, "begin": "now", "events": ["status"]
        }))
        .unwrap();
        assert_eq!((params.text("to"), params.whole("limit")), (Some("Ann"), Some(9)));
        assert_eq!((params.truth("all"), params.text("begin")), (Some(false), Some("now")));
        assert_eq!(params.words("events"), Some(vec!["status"]));
        let params = check(&json!({ "to": "Ann", "limit": null })).unwrap();
        assert_eq!((params.whole("limit"), params.words("events")), (None, None));
    }

    #[test]
    fn what_it_does_not_take_is_refused_with_what_it_takes() {
        for (given, help) in [
            (json!({}), "to is missing: whom it is for"),
            (json!({ "to": null }), "to is missing"),
            (json!({ "to": 7 }), "to: it is a text"),
            (json!({ "to": "Annie" }), "at most 4 bytes"),
            (json!({ "to": "A", "limit": 0 }), "from 1 to 9"),
            (json!({ "to": "A", "limit": 1.5 }), "from 1 to 9"),
            (json!({ "to": "A", "limit": "3" }), "from 1 to 9"),
            (json!({ "to": "A", "limit": -1 }), "from 1 to 9"),
            (json!({ "to": "A", "all": 1 }), "true or false"),
            (json!({ "to": "A", "key": "" }), "key: it is empty"),
            (json!({ "to": "A", "key": " \u{200b}" }), "key: it is empty"),
            (json!({ "to": "A", "key": 7 }), "key: it is a text"),
            (json!({ "to": "A", "key": "Annie" }), "at most 4 bytes"),
            (json!({ "to": "A", "begin": "soon" }), "now, oldest"),
            (json!({ "to": "A", "events": "letter" }), "an array"),
            (json!({ "to": "A", "events": [7] }), "an array"),
            (json!({ "to": "A", "limits": 3 }), "limit is the nearest"),
            (json!({ "to": "A", "colour": 3 }), "\\\"colour\\\". This method takes to, limit, all"),
        ] {
            let refusal = check(&given).unwrap_err();
            assert!(refusal.contains("-32602") && refusal.contains(help), "{given}: {refusal}");
        }
    }
}
