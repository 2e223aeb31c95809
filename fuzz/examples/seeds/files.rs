//! Configurations key by key, the client's outbox, and homes with hostile files.

use waxwing_fuzz::home::{sound, what};
use waxwing_fuzz::outbox::Step;
use waxwing_fuzz::settings::{place, word};

use super::keep;

/// How a setting is set, its key, and its value.
type Setting<'a> = (u8, &'a str, &'a [u8]);

/// Settings as an input has them. Keys are found by their names, since their numbers change.
fn script(settings: &[Setting<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut current = None;
    for (how, key, value) in settings {
        let [section, key] = place(key);
        match current {
            None => bytes.extend([section, *how]),
            Some(current) if current == section => bytes.push(*how),
            Some(_) => bytes.extend([how | ANOTHER_SECTION, section]),
        }
        current = Some(section);
        bytes.push(key);
        bytes.extend(*value);
    }
    bytes
}

const ANOTHER_SECTION: u8 = 0xe0;

pub(super) fn settings() {
    let [in_file, in_environment, by_flag, misspelt] = [0, 2, 3, 0x1c];
    let keep = |name: &str, settings: &[Setting<'_>]| {
        keep("config_keys", name, &script(settings));
    };
    // Quantities of a unit of the key's: at the least, the most, beyond it, or nine.
    let [least, most] = [&[0, 0, 0, 0, 0][..], &[0, 2, 0, 0, 0]];
    let [beyond, nine] = [&[0, 3, 0, 0, 0][..], &[0, 4, 9, 0, 0, 0]];
    let [no, yes] = [&[4, 0][..], &[4, 1]];
    let of_word = |text| [5, word(text)];
    let [exec, webhook] = [&of_word("exec")[..], &of_word("webhook")];
    let [console, in_band] = [&of_word("console")[..], &of_word("in-band")];
    keep(
        "flag",
        &[
            (by_flag, "server.allow_first_start", yes),
            (by_flag, "server.loops", least),
            (by_flag, "server.loops", nine),
        ],
    );
    keep(
        "layers",
        &[
            (in_file, "letters.life", least),
            (in_environment, "letters.life", most),
            (by_flag, "letters.fate_memory", most),
        ],
    );
    keep(
        "too-much",
        &[
            (in_file, "limits.letters_per_mailbox", least),
            (in_file, "limits.half_received", beyond),
        ],
    );
    keep("wrong-kind", &[(in_environment, "log.level", yes)]);
    // The last two characters are not there.
    keep("misspelt", &[(misspelt, "server.loops", &[1, 0, 0, 0, 0, 0])]);

    // The port, and an address of a kind.
    let [public, loopback] = [&[6, 0, 80, 1, 192, 7][..], &[6, 0, 80, 0, 1]];
    let two = &[10, 2, 0, 80, 0, 1, 0, 80, 2, 1][..];
    // [::]:80 and [::1]:80.
    let colliding = &[10, 2, 0, 80, 2, 0, 0, 80, 2, 1][..];
    let ranges = &[9, 2, 0, 1, 8, 2, 1, 64][..];
    keep("addresses", &[(in_file, "server.listen", two), (in_environment, "server.listen", two)]);
    keep("addresses-that-collide", &[(in_file, "server.listen", colliding)]);
    keep(
        "address-of-two",
        &[(in_file, "server.listen", two), (in_file, "metrics.listen", loopback)],
    );
    keep("open-to-all", &[(in_file, "otp.delivery", in_band), (in_file, "server.listen", public)]);
    keep(
        "open-by-a-proxy",
        &[(in_file, "otp.delivery", in_band), (in_file, "server.proxies", ranges)],
    );
    keep(
        "ranges",
        &[(in_file, "limits.exempt", ranges), (in_environment, "limits.exempt", ranges)],
    );

    // How many letters, and which.
    let [path, k, k_slash, nul] = [&[7, 2, 0, 1][..], &[7, 1, 1], &[7, 2, 1, 0], &[7, 1, 6]];
    let texts = &[8, 2, 3, 1, 1, 1, 2, 4, 3][..];
    keep(
        "texts",
        &[
            (in_file, "otp.exec.args", texts),
            (by_flag, "otp.exec.args", texts),
            (in_file, "otp.exec.program", path),
        ],
    );
    keep("no-program", &[(in_file, "otp.delivery", exec)]);
    keep("no-url", &[(in_file, "otp.delivery", webhook)]);
    keep(
        "webhook",
        &[
            (in_file, "otp.delivery", webhook),
            (in_file, "otp.webhook.url", path),
            (by_flag, "otp.webhook.headers", public),
        ],
    );
    keep(
        "fallback",
        &[
            (in_file, "otp.delivery", exec),
            (in_environment, "otp.fallback", console),
            (in_file, "otp.exec.program", path),
        ],
    );
    keep("fallback-in-band", &[(in_file, "otp.fallback", in_band)]);
    keep(
        "countries",
        &[(in_file, "registration.countries", &of_word("+49")), (by_flag, "registration.open", no)],
    );
    keep("country-that-is-none", &[(in_file, "registration.countries", &of_word("+0"))]);
    keep(
        "backups",
        &[
            (in_file, "backup.directory", path),
            (in_file, "backup.every", least),
            (in_environment, "backup.keep", most),
        ],
    );
    keep(
        "backups-in-the-data",
        &[(in_file, "backup.directory", k), (in_file, "server.data", k_slash)],
    );
    keep("log-file", &[(in_file, "log.file", path), (in_file, "log.level", &of_word("debug"))]);
    keep("log-file-with-nul", &[(in_file, "log.file", nul)]);
}

pub(super) fn outbox() {
    let keep = |name: &str, steps: &[Step]| {
        // Two processes take turns.
        let turns = steps.iter().zip([0, 0, 1].into_iter().cycle());
        let bytes: Vec<_> = turns.flat_map(|(step, process)| step.bytes(process)).collect();
        keep("outbox_steps", name, &bytes);
    };
    let write = |to| Step::Write { to, len: 20 };
    let send = |letter| Step::Send { letter };
    let hear = |packet, status| Step::Hear {
        packets: [packet, 0, 0],
        count: 1,
        status,
        by_prefix: packet % 2 == 1,
    };
    let [unknown, stored, delivered, expired] = [0, 1, 2, 3];
    keep(
        "answers",
        &[
            write(0),
            write(0),
            Step::WriteReceipt { to: 1 },
            send(0),
            hear(0, unknown),
            hear(0, stored),
            send(1),
            send(2),
            Step::Hear { packets: [2, 0, 1], count: 3, status: delivered, by_prefix: true },
            hear(0, stored),
            Step::HearOfAnother { status: stored },
            Step::Restart,
        ],
    );
    keep(
        "retries",
        &[
            write(0),
            send(0),
            Step::SendAgain { letter: 0 },
            Step::Postpone { letter: 0, seconds: 200, with_code: true },
            write(0),
            Step::LimitPauses { seconds: 100 },
            Step::Hurry { which: 2, of: 1 },
            send(0),
            Step::SealAgain { to: 0 },
            send(0),
            hear(1, stored),
            Step::CorrectDate { letter: 1, seconds: 9 },
            Step::Hurry { which: 0, of: 0 },
            Step::Restart,
        ],
    );
    keep(
        "end",
        &[
            write(0),
            write(1),
            write(2),
            write(0),
            send(0),
            send(1),
            send(2),
            Step::GiveUp { letter: 0 },
            hear(0, stored),
            Step::Refuse { letter: 1, with_code: true },
            hear(2, expired),
            Step::GiveUp { letter: 3 },
            Step::GiveUp { letter: 1 },
            Step::Wait { days: false, count: 2 },
            Step::Delete { to: 1, seconds: 100 },
            hear(1, delivered),
            Step::Postpone { letter: 2, seconds: 1, with_code: false },
            write(1),
            Step::Restart,
        ],
    );
    keep(
        "memory",
        &[
            write(0),
            write(1),
            send(0),
            send(1),
            hear(0, stored),
            Step::Read { letter: 1 },
            Step::Wait { days: true, count: 31 },
            hear(0, delivered),
            hear(0, expired),
        ],
    );
    keep(
        "keys",
        &[
            write(0),
            write(1),
            Step::ChangeKey { to: 0 },
            send(1),
            hear(0, stored),
            Step::Renew,
            Step::AcceptKey { to: 0 },
            Step::AcceptKey { to: 0 },
            send(1),
            hear(0, delivered),
        ],
    );
}

pub(super) fn homes() {
    let keep_file = |name: &str, what: u8, rest: &[u8]| {
        keep("home_open", name, &[&[what], rest].concat());
    };
    keep_file("sound", what::DATABASE, sound());
    keep_file("cut", what::DATABASE, &sound()[..9_000]);
    keep_file("another-program", what::DATABASE, b"SQLite format 3\0 and then something else");
    let holder = br#"{"pid":7,"since":1795350896,"has_backlog":true,"problem":"no network"}"#;
    keep_file("holder", what::HOLDER, holder);
    // The number of a column, of a row, and a value.
    keep_file("no-phone", what::VALUES, &[0, 0, 4, 4]);
    keep_file("key-of-another-length", what::VALUES, &[13, 0, 6, 9, 20]);
    keep_file("key-that-is-none", what::VALUES, &[13, 0, 6, 9, 147]);
    keep_file("last-row", what::VALUES, &[34, 3, 1, 11]);
    keep_file("kind-of-letter", what::VALUES, &[25, 0, 4, 0, 20, 1, 1, 12]);
    keep_file("kind-of-outbox", what::VALUES, &[37, 1, 0, 40, 0, 1, 6]);
    keep_file("times", what::VALUES, &[29, 0, 1, 11, 39, 0, 1, 12, 14, 0, 1, 11]);
}
