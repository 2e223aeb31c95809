//! How numbers are written for people.

/// `8.2 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut unit, mut tenths) = (0, u128::from(bytes) * 10);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        (unit, tenths) = (unit + 1, tenths / 1_024);
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// `3 d 4 h`, `4 h 5 min`, `5 min 6 s`, `6 s`, `7 ms`.
pub(crate) fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `1 letter`, `2 letters`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let bytes: Vec<_> = [0, 1_023, 1_024, 1_536, 1_048_575, 1_048_576, u64::MAX]
            .into_iter()
            .map(bytes)
            .collect();
        let expected = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1023.9 KiB", "1.0 MiB"];
        assert_eq!(bytes[..6], expected);
        assert_eq!(bytes[6], "16777215.9 TiB");
        let spans: Vec<_> =
            [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 86_399_999, 86_400_000]
                .into_iter()
                .map(span)
                .collect();
        let expected = ["0 ms", "999 ms", "1 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min"];
        assert_eq!(spans[..7], expected);
        assert_eq!(spans[7..], ["23 h 59 min", "1 d 0 h"]);
    }
}
