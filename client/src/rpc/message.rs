//! Messages of JSON-RPC 2.0, one a line.

use serde::Serialize;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::show;

/// Bytes of the longest message, with the end of its line.
pub(super) const LONGEST: usize = 1_024 * 1_024;
/// Bytes of the longest id that is a text.
const LONGEST_ID: usize = 256;

/// What a program asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    /// By which its answer is recognised; without one there is no answer.
    pub(super) id: Option<Value>,
    pub(super) method: String,
    /// The account that it is about, if it names one.
    pub(super) account: Option<String>,
    pub(super) params: Map<String, Value>,
}

/// A message that is no request, with the id that its answer bears.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) id: Value,
    pub(super) refusal: Refusal,
}

impl Unusable {
    /// It was not read to its end.
    pub(super) fn too_long() -> Self {
        let why = "a message has at most 1 MiB, with the end of its line";
        Self { id: Value::Null, refusal: Refusal::no_request(why) }
    }
}

/// A line, read.
pub(super) type Read = Result<Request, Unusable>;

/// What a line says; nothing for a blank one.
pub(super) fn read(line: &[u8]) -> Result<Option<Request>, Unusable> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let nobody = |refusal| Unusable { id: Value::Null, refusal };
    let value = serde_json::from_slice(line)
        .map_err(|error| nobody(Refusal::no_json(format!("this line is no JSON: {error}"))))?;
    let mut fields: Map<String, Value> = match value {
        Value::Object(fields) => fields,
        Value::Array(_) => {
            let why =
                "several requests in one array are not taken; write each on a line of its own";
            return Err(nobody(Refusal::no_request(why)));
        }
        _ => return Err(nobody(Refusal::no_request("a request is a JSON object"))),
    };
    let id = take_id(&mut fields).map_err(nobody)?;
    let refuse = |refusal| Unusable { id: id.clone().unwrap_or_default(), refusal };
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(refuse(Refusal::no_request("a request has \"jsonrpc\": \"2.0\"")));
    }
    let Some(Value::String(method)) = fields.remove("method") else {
        return Err(refuse(Refusal::no_request("a request names its method")));
    };
    let mut params = match fields.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => {
            let why = "the parameters are an object: each has a name";
            return Err(refuse(Refusal::bad_params(why)));
        }
    };
    let account = match params.remove("account") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err(refuse(Refusal::bad_params("account: it is a text"))),
    };
    Ok(Some(Request { id, method, account, params }))
}

fn take_id(fields: &mut Map<String, Value>) -> Result<Option<Value>, Refusal> {
    match fields.remove("id") {
        None => Ok(None),
        Some(Value::String(text)) if text.len() > LONGEST_ID => {
            Err(Refusal::no_request("an id has at most 256 bytes"))
        }
        Some(id @ (Value::String(_) | Value::Number(_) | Value::Null)) => Ok(Some(id)),
        Some(_) => Err(Refusal::no_request("an id is a text or a number")),
    }
}

/// An answer as a line.
pub(super) fn answer(id: &Value, result: &Result<Value, Refusal>) -> String {
    let (result, error) = match result {
        Ok(result) => (Some(result), None),
        Err(refusal) => (None, Some(refusal)),
    };
    show::json(&Answer { jsonrpc: "2.0", id, result, error })
}

/// A notification as a line.
pub(super) fn notification(method: &str, params: &Value) -> String {
    show::json(&Notification { jsonrpc: "2.0", method, params })
}

#[derive(Serialize)]
struct Answer<'a> {
    jsonrpc: &'static str,
    id: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Refusal>,
}

#[derive(Serialize)]
struct Notification<'a> {
    jsonrpc: &'static str,
    method: &'a str,
    params: &'a Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str) -> (i32, Value) {
        let unusable = read(line.as_bytes()).unwrap_err();
        (unusable.refusal.code, unusable.id)
    }

    #[test]
    fn a_request_is_read_with_or_without_id_and_params() {
        let request = |id, method: &str, params: &str| Request {
            id,
            method: method.to_owned(),
            account: None,
            params: serde_json::from_str(params).unwrap(),
        };
        for (line, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"a"}"#, request(Some(1.into()), "a", "{}")),
            (
                r#"{"jsonrpc":"2.0","id":"x","method":"a","params":{"b":[1]}}"#,
                request(Some("x".into()), "a", r#"{"b":[1]}"#),
            ),
            (r#"{"jsonrpc":"2.0","method":"a","params":null}"#, request(None, "a", "{}")),
            (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, request(Some(Value::Null), "a", "{}")),
        ] {
            assert_eq!(read(line.as_bytes()).unwrap().unwrap(), expected);
        }
        assert!(read(b" \r\n").unwrap().is_none());
    }

    #[test]
    fn what_is_no_request_has_the_code_that_json_rpc_gives_it() {
        let longest = "9".repeat(257);
        for (line, expected, id) in [
            ("{", -32_700, Value::Null),
            ("\u{0}", -32_700, Value::Null),
            (&"[".repeat(100_000), -32_700, Value::Null),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a"}{}"#, -32_700, Value::Null),
            ("[]", -32_600, Value::Null),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"a"}]"#, -32_600, Value::Null),
            ("7", -32_600, Value::Null),
            (r#"{"id":1,"method":"a"}"#, -32_600, 1.into()),
            (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, -32_600, 1.into()),
            (r#"{"jsonrpc":"2.0","id":1}"#, -32_600, 1.into()),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32_600, 1.into()),
            (r#"{"jsonrpc":"2.0","id":1,"result":7}"#, -32_600, 1.into()),
            (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#, -32_600, Value::Null),
            (r#"{"jsonrpc":"2.0","id":true,"method":"a"}"#, -32_600, Value::Null),
            (
                &format!(r#"{{"jsonrpc":"2.0","id":"{longest}","method":"a"}}"#),
                -32_600,
                Value::Null,
            ),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#, -32_602, 1.into()),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":"b"}"#, -32_602, 1.into()),
        ] {
            assert_eq!(code(line), (expected, id), "{}", &line[..line.len().min(60)]);
        }
        assert!(read(b"\xff\xfe").is_err());
    }

    #[test]
    fn an_answer_and_a_notification_are_one_line_in_which_nothing_acts_on_a_terminal() {
        let result = Ok(Value::from("a\n\u{1b}\u{202e}"));
        let line = answer(&1.into(), &result);
        assert_eq!(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"a\\n\\u001b\\u202e\"}");
        let line = answer(&Value::Null, &Err(Refusal::no_method("x")));
        assert_eq!(line, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"x"}}"#);
        assert_eq!(
            notification("letter", &Value::Null),
            r#"{"jsonrpc":"2.0","method":"letter","params":null}"#
        );
    }
}
