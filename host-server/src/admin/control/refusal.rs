//! What the socket itself answers to whom it does not serve.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why the server's end of the socket did not hand a request on. It is one line, and the connection ends
/// behind it: `{"error":{"code":"busy","message":"…"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(into = "Line", from = "Line")]
pub struct Refusal {
    /// Why, for programs.
    pub code: RefusalCode,
    /// Why, and what to do, for people.
    pub message: String,
}

/// Why a connection was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RefusalCode {
    /// The server serves as many connections as it can.
    Busy,
    /// The socket is not for this user.
    NotAllowed,
    /// The request is longer than [`MAX_REQUEST`](super::MAX_REQUEST).
    TooLong,
    /// The request did not come in time.
    TooLate,
    /// The client stopped writing in the middle of its request.
    Incomplete,
    /// The request is no text, or no JSON.
    NotJson,
}

impl Refusal {
    pub(super) fn new(code: RefusalCode, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// The refusal that `line` is, if it is one.
    #[must_use]
    pub fn in_line(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// As it goes over the socket, with the end of the line.
    pub(super) fn line(&self) -> Vec<u8> {
        // There is no value of the type that cannot be written as JSON.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    error: Inner,
}

#[derive(Deserialize, Serialize)]
struct Inner {
    code: RefusalCode,
    message: String,
}

impl From<Refusal> for Line {
    fn from(Refusal { code, message }: Refusal) -> Self {
        Self { error: Inner { code, message } }
    }
}

impl From<Line> for Refusal {
    fn from(Line { error: Inner { code, message } }: Line) -> Self {
        Self { code, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_that_is_told_from_others() {
        let refusal = Refusal::new(RefusalCode::NotAllowed, "not \"you\"\n");
        let line = String::from_utf8(refusal.line()).unwrap();
        let text = "{\"error\":{\"code\":\"not-allowed\",\"message\":\"not \\\"you\\\"\\n\"}}\n";
        assert_eq!(line, text);
        assert_eq!(Refusal::in_line(line.trim_end()), Some(refusal));
        for other in
            ["", "{}", "{\"error\":1}", "{\"error\":{\"code\":\"x\",\"message\":\"\"}}", "[1]"]
        {
            assert_eq!(Refusal::in_line(other), None, "{other}");
        }
    }
}
