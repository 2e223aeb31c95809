//! Configurations key by key, the client's outbox, and homes with hostile files.

use waxwing_fuzz::home::{sound, what};
use waxwing_fuzz::outbox::Step;

use super::keep;

/// Settings: the number of a section, and for each setting how it is set, the number of its key, and its
/// value.
pub(super) fn settings() {
    // Sections, in the order of the example file.
    let [server, otp, letters, limits, log] = [0, 1, 3, 5, 7];
    let [in_file, in_environment, by_flag, misspelt] = [0, 2, 3, 0x1c];
    // Values: a quantity of a unit of the key's, at the least, the most, beyond it, or nine; and others.
    let [least, most] = [&[0, 0, 0, 0, 0][..], &[0, 2, 0, 0, 0]];
    let [beyond, nine] = [&[0, 3, 0, 0, 0][..], &[0, 4, 9, 0, 0, 0]];
    let [yes, exec, in_band, address] = [&[4, 1][..], &[5, 2], &[5, 0], &[6, 0, 80, 1, 192, 7]];
    let keep = |name: &str, section: u8, settings: &[(u8, u8, &[u8])]| {
        let bytes = settings.iter().flat_map(|(how, key, value)| [&[*how, *key], *value].concat());
        keep("config_keys", name, &[section].into_iter().chain(bytes).collect::<Vec<_>>());
    };
    keep("flag", server, &[(by_flag, 4, yes), (by_flag, 5, least), (by_flag, 5, nine)]);
    keep("layers", letters, &[(in_file, 0, least), (in_environment, 0, most), (by_flag, 1, most)]);
    keep("too-much", limits, &[(in_file, 0, least), (in_file, 6, beyond)]);
    keep("wrong-kind", log, &[(in_environment, 0, yes)]);
    keep("misspelt", server, &[(misspelt, 5, &[1, 0, 0, 0, 0, 0][..])]);
    keep("no-program", otp, &[(in_file, 0, exec)]);
    // Section `server` comes behind `otp`.
    let open = [&[otp, in_file, 0][..], in_band, &[0xe0, server, 0], address].concat();
    super::keep("config_keys", "open-to-all", &open);
    let ranges = &[9, 2, 0, 1, 8, 2, 1, 64][..];
    keep("ranges", limits, &[(in_file, 23, ranges), (in_environment, 23, ranges)]);
    let texts = &[8, 2, 3, 1, 1, 1, 2, 4, 3][..];
    keep("texts", 2, &[(in_file, 1, texts), (by_flag, 1, texts), (in_file, 0, &[7, 2, 0, 1])]);
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
    keep_file("last-row", what::VALUES, &[34, 3, 1, 11]);
    keep_file("kind-of-letter", what::VALUES, &[25, 0, 4, 0, 20, 1, 1, 12]);
    keep_file("kind-of-outbox", what::VALUES, &[37, 1, 0, 40, 0, 1, 6]);
    keep_file("times", what::VALUES, &[29, 0, 1, 11, 39, 0, 1, 12, 14, 0, 1, 11]);
}
