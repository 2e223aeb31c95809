//! Replays every input that is kept, and holds each seed to what its name says.

use waxwing_core_fuzz::seeds::Expected;
use waxwing_core_fuzz::test_seeds;
use waxwing_fuzz::TARGETS;

const EXPECTED: &[Expected] = &[
    (
        "server_bytes",
        &[
            ("letter-and-receipt", &["206", "255", "102", "203", "204", "222"]),
            ("registration", &["200", "201", "255"]),
            ("silence", &["206", "255"]),
        ],
    ),
    (
        "client_bytes",
        &[
            ("code", &["a code is issued"]),
            (
                "composed",
                &[
                    "a letter goes out",
                    "a sealed status comes",
                    "a shared status comes",
                    "the connection is over",
                ],
            ),
            (
                "keys",
                &["a key comes", "another key comes than was asked for", "a request is refused"],
            ),
            ("largest-letter", &["a text opens"]),
            (
                "letters",
                &[
                    "a session is issued",
                    "the backlog ends",
                    "a text opens",
                    "a receipt opens",
                    "a letter of an unknown kind opens",
                    "a letter does not open",
                ],
            ),
            ("phone-taken", &["the phone is taken"]),
            ("registration", &["a session is issued", "the backlog ends"]),
            ("short-form", &["a session is issued", "a letter is too large"]),
            ("short-form-refused", &["a session is issued", "the backlog ends"]),
            ("silence", &["a session is issued", "the connection is over"]),
        ],
    ),
    (
        "messenger_bytes",
        &[
            ("changed-key", &["a contact has another key"]),
            (
                "contact",
                &[
                    "a text is stored",
                    "a letter of another kind is stored",
                    "a letter is unreadable",
                ],
            ),
            ("contact-of-a-device", &["a text is stored", "a letter is unreadable"]),
            ("full-disk", &["a text is stored", "a letter is deleted", "the connection is over"]),
            ("letter-delivered", &["a letter goes out", "a letter is answered"]),
            ("letter-put-off", &["a letter goes out", "a letter waits"]),
            ("registration", &["a session is proven"]),
            ("sender-that-nobody-knows", &["a letter is unreadable"]),
            ("unknown-sender", &["a contact is known", "a text is stored"]),
            ("unknown-sender-of-a-device", &["a contact is known", "a text is stored"]),
        ],
    ),
    (
        "server_ops",
        &[
            (
                "crashes",
                &[
                    "dies",
                    "has little room on the disk",
                    "- the server dies, and starts again",
                    "a letter is shown",
                ],
            ),
            ("farewell", &["says goodbye", "a letter is shown"]),
            ("hostile", &["- somebody misbehaves", "a letter is shown"]),
            ("large-letters", &["a letter of 60,000 bytes is shown"]),
            ("letters", &["writes a letter", "- storage works", "a letter is shown"]),
            ("network", &["- a bit falls over", "is cut off", "a letter is shown"]),
            ("shards", &["- mail arrives", "a letter is shown"]),
            ("short-lives", &["- time passes", "a letter is shown"]),
            (
                "storage",
                &["- storage refuses writes", "- storage refuses questions", "a letter is shown"],
            ),
            ("strangers", &["- a stranger asks for a code"]),
        ],
    ),
    (
        "envelope_open",
        &[
            ("receipt", &["a receipt opens"]),
            ("text", &["a text opens"]),
            ("text-that-is-none", &["a letter of an unknown kind opens"]),
            ("unknown", &["a letter of an unknown kind opens"]),
        ],
    ),
    ("public_key", &[("even", &["refused"]), ("sound", &["taken"]), ("truncated", &["refused"])]),
    (
        "config_file",
        &[("example", &["taken"]), ("misspelt", &["refused"]), ("one-key", &["taken"])],
    ),
    (
        "sqlite_open",
        &[
            ("empty", &["taken"]),
            ("letters", &["a letter is read"]),
            ("not-a-database", &["refused"]),
        ],
    ),
];

test_seeds!(TARGETS, EXPECTED);
