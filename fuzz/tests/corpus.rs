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
            ("another-suite", &["another suite"]),
            ("another-version", &["another version"]),
            ("receipt", &["a receipt opens"]),
            ("text", &["a text opens"]),
            ("text-cut", &["a letter does not open"]),
            ("text-that-is-none", &["a letter of an unknown kind opens"]),
            ("unknown", &["a letter of an unknown kind opens"]),
        ],
    ),
    ("public_key", &[("even", &["refused"]), ("sound", &["taken"]), ("truncated", &["refused"])]),
    (
        "private_key",
        &[
            ("another-version", &["another form", "a file is refused"]),
            ("attributes", &["another form"]),
            ("bits-1024", &["another size"]),
            ("byte-too-many", &["trailing bytes"]),
            ("crt-coefficient-0", &["inconsistent"]),
            ("crt-exponent-of-another", &["inconsistent"]),
            ("cut", &["cut short"]),
            ("der", &["taken"]),
            ("elliptic-curve", &["another algorithm"]),
            ("encrypted", &["encrypted"]),
            ("exponent-3", &["another exponent"]),
            ("file", &["a file is taken"]),
            ("file-of-zeros", &["a file is empty"]),
            ("file-with-another-label", &["a file has another label"]),
            ("file-without-end", &["a file is not PEM"]),
            ("modulus-0", &["another size"]),
            ("pkcs1-not-pkcs8", &["PKCS#1"]),
            ("primes-of-another", &["inconsistent"]),
            ("private-exponent-of-another", &["inconsistent"]),
            ("public", &["the other half"]),
            ("sound", &["taken", "a file is taken"]),
            ("wrong-bit", &["inconsistent", "a file is refused"]),
        ],
    ),
    (
        "config_file",
        &[("example", &["taken"]), ("misspelt", &["refused"]), ("one-key", &["taken"])],
    ),
    (
        "config_keys",
        &[
            ("address-of-two", &["refused", "metrics.listen"]),
            ("addresses", &["taken from the file", "taken from the environment", "server.listen"]),
            ("addresses-that-collide", &["refused", "server.listen"]),
            (
                "backups",
                &[
                    "taken from the file",
                    "taken from the environment",
                    "backup.directory",
                    "backup.every",
                    "backup.keep",
                ],
            ),
            ("backups-in-the-data", &["refused", "backup.directory"]),
            (
                "countries",
                &[
                    "taken from the file",
                    "taken from a flag",
                    "registration.countries",
                    "registration.open",
                ],
            ),
            ("country-that-is-none", &["refused", "registration.countries"]),
            (
                "fallback",
                &[
                    "taken from the file",
                    "taken from the environment",
                    "otp.delivery",
                    "otp.fallback",
                    "otp.exec.program",
                ],
            ),
            ("fallback-in-band", &["refused", "otp.fallback"]),
            ("flag", &["taken from a flag", "server.allow_first_start", "server.loops"]),
            (
                "layers",
                &[
                    "taken from the file",
                    "taken from the environment",
                    "taken from a flag",
                    "letters.life",
                    "letters.fate_memory",
                ],
            ),
            ("log-file", &["taken from the file", "log.file", "log.level"]),
            ("log-file-with-nul", &["refused", "log.file"]),
            ("misspelt", &["no such key", "server.loo"]),
            ("no-program", &["refused", "otp.exec.program"]),
            ("no-url", &["refused", "otp.webhook.url"]),
            ("open-by-a-proxy", &["it cannot serve", "otp.delivery", "server.proxies"]),
            ("open-to-all", &["it cannot serve", "otp.delivery", "server.listen"]),
            ("ranges", &["taken from the file", "taken from the environment", "limits.exempt"]),
            (
                "texts",
                &["taken from the file", "taken from a flag", "otp.exec.args", "otp.exec.program"],
            ),
            ("too-much", &["refused", "limits.half_received"]),
            (
                "webhook",
                &[
                    "taken from the file",
                    "taken from a flag",
                    "otp.delivery",
                    "otp.webhook.url",
                    "otp.webhook.headers",
                ],
            ),
            ("wrong-kind", &["refused", "log.level"]),
        ],
    ),
    (
        "sqlite_open",
        &[
            ("empty", &["taken"]),
            ("letters", &["a letter is read"]),
            ("not-a-database", &["refused"]),
        ],
    ),
    (
        "home_open",
        &[
            ("another-program", &["refused"]),
            ("cut", &["refused"]),
            ("holder", &["the holder says something", "a letter is written"]),
            ("key-of-another-length", &["contacts are refused"]),
            ("key-that-is-none", &["contacts are refused"]),
            ("kind-of-letter", &["letters are refused"]),
            ("kind-of-outbox", &["the outbox is refused"]),
            ("last-row", &["nothing can be written"]),
            ("no-phone", &["an account is refused"]),
            (
                "sound",
                &[
                    "an account is read",
                    "contacts are read",
                    "letters are read",
                    "a conversation is read",
                    "the outbox is read",
                    "a letter is written",
                ],
            ),
            ("times", &["letters are read", "the outbox is read"]),
        ],
    ),
    (
        "outbox_steps",
        &[
            (
                "answers",
                &[
                    "a letter is written",
                    "a letter goes out",
                    "a status is not new",
                    "a letter is stored",
                    "a letter is delivered",
                    "a status is of no packet of ours",
                    "a process begins anew",
                ],
            ),
            (
                "end",
                &[
                    "a letter is given up",
                    "a letter is given up that may arrive",
                    "an answered letter is not given up",
                    "a letter is refused",
                    "a letter expires",
                    "a letter is deleted",
                    "a status is of a letter that is deleted",
                    "an answered letter is not put off",
                ],
            ),
            (
                "keys",
                &[
                    "a key changes",
                    "a key is accepted",
                    "no key has changed",
                    "the server has lost the account",
                    "a letter is delivered",
                ],
            ),
            ("memory", &["a letter was read", "a letter is no longer kept", "a letter expires"]),
            (
                "retries",
                &[
                    "a letter is put off",
                    "pauses are limited",
                    "a letter is tried again",
                    "letters are sealed again",
                    "a date is corrected",
                    "nothing was put off",
                ],
            ),
        ],
    ),
];

test_seeds!(TARGETS, EXPECTED);

#[test]
fn receipts_that_are_deleted_with_letters_are_not_counted() {
    // Found by the target: a receipt is written, and what was written to this person is deleted.
    waxwing_fuzz::outbox::outbox_steps(b"$wwwuww#wu\x01\0\0\0");
}
