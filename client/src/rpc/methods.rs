//! All methods: one table for whoever calls, for the schema, and for what runs.

mod letters;
mod people;
mod program;

use serde_json::Value;

use super::clerk::{Clerk, Wait};
use super::params::{Kind, Param, Params};
use super::refusal::Refusal;
use super::shapes::{self, Shape};
use crate::nearest;

/// Something that a program can ask for.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) params: &'static [Param],
    pub(super) result: Shape,
    pub(super) class: Class,
    pub(super) run: Run,
}

type Run = for<'a, 'b> fn(&'a mut Clerk<'b>, &Params) -> Result<Reply, Refusal>;

/// What a method may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Anything but what the others do.
    Usual,
    /// It changes the home and nothing else, and is called very often: several are one change.
    Grouped,
    /// It says whose key this home believes in, and needs leave.
    Trust,
}

/// What a method has to say.
pub(super) enum Reply {
    /// At once.
    Now(Value),
    /// When there is something.
    Later(Wait),
}

const WHO: Kind = Kind::Text(256);
const UID: Kind = Kind::Text(32);
/// The name of a consumer, or a key.
const NAME: Kind = Kind::Name(256);
/// The name of a consumer to forget: also an empty one, which a home can have from before they were refused.
const ANY_NAME: Kind = Kind::Text(256);
const ITEM: Kind = Kind::Whole(1, i64::MAX.cast_unsigned());
const LIMIT: Kind = Kind::Whole(1, 256);
const PERSON: &str = "somebody, by name or phone number";

pub(super) const EVENTS: &[&str] = &["letter", "status", "key_changed", "connection"];

pub(super) static METHODS: &[Method] = &[
    Method {
        name: "hello",
        summary: "who this is, and what can be done",
        params: &[Param::optional(
            "api",
            Kind::Whole(1, 1),
            "the interface that the program knows",
        )],
        result: Shape::Object(shapes::HELLO),
        class: Class::Usual,
        run: program::hello,
    },
    Method {
        name: "send",
        summary: "puts a letter into the outbox, from which it goes out by itself",
        params: &[
            Param::required("to", WHO, PERSON),
            Param::required("text", Kind::Text(waxwing_core::limits::MAX_BODY), "what it says"),
            Param::optional(
                "key",
                NAME,
                "a name for this call: if the program asks again under it, nothing is sent twice. For \
                 another letter of this home it is refused",
            ),
        ],
        result: Shape::Object(shapes::QUEUED),
        class: Class::Grouped,
        run: letters::send,
    },
    Method {
        name: "next",
        summary: "letters that this consumer has not acknowledged, oldest first; the same again until it \
                  has",
        params: &[
            Param::required("consumer", NAME, "the name of the program, which the home remembers"),
            Param::optional("wait_s", Kind::Whole(0, 3_600), "how long to wait for one; else 0"),
            Param::optional("limit", LIMIT, "how many at most; else 16"),
            Param::optional(
                "begin",
                Kind::Word(&["now", "oldest"]),
                "what a new consumer gets first: letters that come from now on, or all that are there; \
                 else now",
            ),
        ],
        result: Shape::List(shapes::LETTER),
        class: Class::Usual,
        run: letters::next,
    },
    Method {
        name: "ack",
        summary: "this consumer is done with all letters up to this one, and does not get them again",
        params: &[
            Param::required("consumer", NAME, "the name of the program"),
            Param::required("id", ITEM, "the place of the letter"),
        ],
        result: Shape::Object(shapes::ACKNOWLEDGED),
        class: Class::Grouped,
        run: letters::ack,
    },
    Method {
        name: "consumers",
        summary: "the programs that the home remembers, and how many letters each is not done with",
        params: &[],
        result: Shape::List(shapes::CONSUMER),
        class: Class::Usual,
        run: letters::consumers,
    },
    Method {
        name: "remove_consumer",
        summary: "forgets a consumer that does not come back: what it is not done with is deleted in its \
                  time, as other letters are",
        params: &[Param::required("consumer", ANY_NAME, "the name of the program")],
        result: Shape::Object(shapes::REMOVED),
        class: Class::Usual,
        run: letters::remove_consumer,
    },
    Method {
        name: "subscribe",
        summary: "tells by notifications what is new from now on; they are not repeated, as `next` does",
        params: &[Param::optional("events", Kind::Words(EVENTS), "which; else all")],
        result: Shape::Object(shapes::NOTHING),
        class: Class::Usual,
        run: program::subscribe,
    },
    Method {
        name: "connect",
        summary: "has a connection made now, if there is none, and letters tried that were put off; it does \
                  not wait for that",
        params: &[],
        result: Shape::Object(shapes::NOTHING),
        class: Class::Usual,
        run: program::connect,
    },
    Method {
        name: "status",
        summary: "what became of a letter that was written here",
        params: &[Param::required("uid", UID, "the letter, as `send` has named it")],
        result: Shape::Object(shapes::STATUS),
        class: Class::Usual,
        run: letters::status,
    },
    Method {
        name: "history",
        summary: "the end of a conversation, or what stands before a letter, oldest first",
        params: &[
            Param::required("with", WHO, PERSON),
            Param::optional("before", ITEM, "the place of a letter"),
            Param::optional("limit", LIMIT, "how many at most; else 50"),
        ],
        result: Shape::List(shapes::LETTER),
        class: Class::Usual,
        run: letters::history,
    },
    Method {
        name: "search",
        summary: "letters that say something, newest first",
        params: &[
            Param::required(
                "text",
                Kind::Text(1_024),
                "a part of what they say, in capitals or not",
            ),
            Param::optional("with", WHO, "in the conversation with this person alone"),
            Param::optional("before", ITEM, "before this place"),
            Param::optional("limit", LIMIT, "how many at most; else 50"),
        ],
        result: Shape::List(shapes::LETTER),
        class: Class::Usual,
        run: letters::search,
    },
    Method {
        name: "conversations",
        summary: "what goes on with whom: pinned ones first, then the newest",
        params: &[Param::optional(
            "state",
            Kind::Word(&["open", "request", "archived", "blocked"]),
            "those in this state alone",
        )],
        result: Shape::List(shapes::CONVERSATION),
        class: Class::Usual,
        run: people::conversations,
    },
    Method {
        name: "set",
        summary: "changes a conversation, in all that is named",
        params: &[
            Param::required("with", WHO, PERSON),
            Param::optional("name", Kind::Text(256), "a name for the other; empty takes it away"),
            Param::optional("accepted", Kind::Word(&["yes"]), "takes a stranger's request"),
            Param::optional("blocked", Kind::Truth, "whether what the other sends is discarded"),
            Param::optional(
                "archived",
                Kind::Truth,
                "whether it is put away until something is said",
            ),
            Param::optional("pinned", Kind::Truth, "whether it stays at the top of the list"),
            Param::optional(
                "mute_s",
                Kind::Whole(0, 3_153_600_000),
                "for so long it is quiet; 0 ends it",
            ),
            Param::optional(
                "read_to",
                ITEM,
                "letters up to this place are read; who sent them is told \
                                              if the settings say so",
            ),
        ],
        result: Shape::Object(shapes::CONVERSATION),
        class: Class::Usual,
        run: people::set,
    },
    Method {
        name: "contacts",
        summary: "people whose keys are pinned, or who are blocked",
        params: &[],
        result: Shape::List(shapes::CONTACT),
        class: Class::Usual,
        run: people::contacts,
    },
    Method {
        name: "verify",
        summary: "asks the server for a key, and gives the number to compare; with a number, notes that \
                  both have seen it, and asks nobody",
        params: &[
            Param::required("with", WHO, PERSON),
            Param::optional("number", Kind::Text(256), "the sixty digits that were compared"),
        ],
        result: Shape::Object(shapes::KEY),
        class: Class::Trust,
        run: people::verify,
    },
    Method {
        name: "accept_key",
        summary: "accepts the changed key that has this number",
        params: &[
            Param::required("with", WHO, PERSON),
            Param::required("number", Kind::Text(256), "the sixty digits that were compared"),
        ],
        result: Shape::Object(shapes::KEY),
        class: Class::Trust,
        run: people::accept_key,
    },
];

/// The method of this name.
pub(super) fn find(name: &str) -> Result<&'static Method, Refusal> {
    METHODS.iter().find(|method| method.name == name).ok_or_else(|| {
        let nearest = nearest::nearest(name, METHODS.iter().map(|method| method.name));
        Refusal::no_method(format!(
            "there is no such method{}. `waxwing rpc --schema` shows all",
            nearest::in_words(nearest)
        ))
    })
}
