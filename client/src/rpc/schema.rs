//! What can be called, for programs that read it: OpenRPC, from the table by which calls are answered.

use serde_json::{Value, json};

use super::methods::{Class, METHODS, Method};
use super::shapes::{self, Shape};

/// What a program can be told of, by the name of the notification.
const NOTIFICATIONS: [(&str, &str, Shape); 4] = [
    ("letter", "a letter has come", Shape::Object(shapes::LETTER)),
    (
        "status",
        "something else is known of a letter that was written here",
        Shape::Object(shapes::STATUS),
    ),
    ("key_changed", "letters to somebody are held back", Shape::Object(shapes::KEY_CHANGED)),
    ("connection", "how it stands with the connection", Shape::Object(shapes::CONNECTION)),
];

/// The document.
pub(super) fn document() -> Value {
    let notifications: Vec<_> = NOTIFICATIONS.iter().map(notification).collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "waxwing rpc",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON-RPC 2.0, a message a line of at most 1 MiB. Errors have the codes of \
                JSON-RPC, or else the exit codes of the program; data.retry_after_s says for how long to \
                wait. Notifications about an account that has to be named have its name in `account`.",
        },
        "methods": METHODS.iter().map(method).collect::<Vec<_>>(),
        "x-notifications": notifications,
    })
}

fn method(method: &Method) -> Value {
    let params = method.params.iter().map(|param| {
        json!({
            "name": param.name,
            "description": param.what,
            "required": param.is_required,
            "schema": param.kind.schema(),
        })
    });
    let params = params.chain([json!({
        "name": "account",
        "description": "the account that it is about, by its name; else the usual one",
        "required": false,
        "schema": { "type": "string" },
    })]);
    let leave = match method.class {
        Class::Trust => " It needs --allow-trust.",
        Class::Usual | Class::Grouped => "",
    };
    json!({
        "name": method.name,
        "summary": format!("{}.{leave}", method.summary),
        "paramStructure": "by-name",
        "params": params.collect::<Vec<_>>(),
        "result": { "name": "result", "schema": method.result.schema() },
    })
}

fn notification((name, summary, shape): &(&str, &str, Shape)) -> Value {
    json!({ "name": name, "summary": summary, "params": shape.schema() })
}
