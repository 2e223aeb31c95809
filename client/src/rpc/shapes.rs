//! What methods and notifications give, for the schema.

use serde_json::{Map, Value, json};

/// A part of an object.
pub(super) struct Field {
    pub(super) name: &'static str,
    kind: &'static str,
    /// It can be left out, or be null.
    is_optional: bool,
    what: &'static str,
}

/// What a method gives.
pub(super) enum Shape {
    /// An object with these parts.
    Object(&'static [Field]),
    /// An array of such objects.
    List(&'static [Field]),
}

impl Shape {
    /// As JSON Schema says it. More parts may come with later versions.
    pub(super) fn schema(&self) -> Value {
        match self {
            Self::Object(fields) => object(fields),
            Self::List(fields) => json!({ "type": "array", "items": object(fields) }),
        }
    }
}

fn object(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let kind = if field.is_optional { json!([field.kind, "null"]) } else { json!(field.kind) };
        properties
            .insert(field.name.to_owned(), json!({ "type": kind, "description": field.what }));
    }
    let required: Vec<_> =
        fields.iter().filter(|field| !field.is_optional).map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

const fn always(name: &'static str, kind: &'static str, what: &'static str) -> Field {
    Field { name, kind, is_optional: false, what }
}

const fn maybe(name: &'static str, kind: &'static str, what: &'static str) -> Field {
    Field { name, kind, is_optional: true, what }
}

pub(super) const HELLO: &[Field] = &[
    always("api", "integer", "the number of this interface; a later one has all of an earlier one"),
    always("version", "string", "the version of the client"),
    always("phone", "string", "the phone of this account"),
    always("allow_trust", "boolean", "whether `verify` and `accept_key` can be called"),
    always("connection", "object", "as the notification `connection` has it"),
];

pub(super) const QUEUED: &[Field] = &[
    always("uid", "string", "the name of the letter, by which `status` tells of it"),
    always("new", "boolean", "false when it was sent under this key before, and is not sent again"),
];

pub(super) const ACKNOWLEDGED: &[Field] =
    &[always("new", "boolean", "false when this was said before")];

pub(super) const CONSUMER: &[Field] = &[
    always("consumer", "string", "the name of the program"),
    always("waiting", "integer", "letters that it is not done with"),
    maybe("acknowledged_at", "string", "when it has last said that it is done with one"),
];

pub(super) const REMOVED: &[Field] =
    &[always("removed", "boolean", "false when there is no such consumer")];

pub(super) const NOTHING: &[Field] = &[];

pub(super) const LETTER: &[Field] = &[
    always("id", "integer", "its place: later ones have higher places, in all conversations"),
    always("direction", "string", "in or out"),
    maybe("from", "string", "the phone of its author, if that is the other"),
    maybe("to", "string", "the phone of the recipient, if the author is the owner of this home"),
    maybe("name", "string", "the name that the other was given"),
    maybe("request", "boolean", "true when its author is a stranger"),
    maybe("uid", "string", "its author's name for it"),
    always("kind", "string", "text, or unknown or unreadable, for which there is no text"),
    maybe("text", "string", "what it says"),
    maybe("error", "string", "why there is no text"),
    maybe("sent_at", "string", "when its author has dated it"),
    maybe("received_at", "string", "when it came"),
    maybe("created_at", "string", "when it was written here"),
    maybe("read_at", "string", "when the other says to have read it"),
    always("status", "string", "how far it has come"),
    maybe("refusal", "integer", "the server's code for refusing it"),
];

pub(super) const STATUS: &[Field] = &[
    always("uid", "string", "the letter"),
    always("to", "string", "the phone of the recipient"),
    always(
        "status",
        "string",
        "queued, sent, stored, delivered, refused, expired, given up or no longer kept",
    ),
    maybe("why", "string", "why it waits or was refused, for a person"),
    maybe("refusal", "integer", "the server's code for that"),
    maybe("read_at", "string", "when the recipient says to have read it"),
];

pub(super) const CONVERSATION: &[Field] = &[
    always("phone", "string", "whom it is with"),
    maybe("name", "string", "the name that they were given"),
    always("state", "string", "open, request, archived or blocked"),
    always("unread", "integer", "how many letters nobody has read"),
    always(
        "held",
        "integer",
        "how many letters wait until the key that they are signed with is accepted",
    ),
    always("pinned", "boolean", "whether it stays at the top of the list"),
    always("draft", "boolean", "whether something is begun"),
    maybe("muted_until", "string", "until when it is quiet"),
    maybe("last", "integer", "the place of the newest letter"),
];

pub(super) const CONTACT: &[Field] = &[
    always("phone", "string", "their phone"),
    maybe("name", "string", "the name that they were given"),
    maybe("id", "integer", "their id at the server"),
    maybe("since", "string", "when their key was pinned"),
    always("verified", "boolean", "whether the numbers were compared"),
    always("key_changed", "boolean", "whether letters are held back, because the key has changed"),
    always("blocked", "boolean", "whether what they send is discarded"),
];

pub(super) const KEY: &[Field] = &[
    always("phone", "string", "whose key it is"),
    always("number", "string", "the number to compare, of the accepted key"),
    always("verified", "boolean", "whether it was compared"),
    always("fresh", "boolean", "whether the server has said just now that this is the key"),
    maybe("changed_number", "string", "the number of another key, which waits for being accepted"),
];

pub(super) const KEY_CHANGED: &[Field] = &[always("phone", "string", "whose key has changed")];

pub(super) const CONNECTION: &[Field] = &[
    always("state", "string", "coming, up or down"),
    maybe("why", "string", "why there is none, for a person"),
];
