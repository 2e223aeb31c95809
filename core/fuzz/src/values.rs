//! Timestamps, phone numbers and codes.

use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::{Timestamp, UnixTime};

use crate::{Reached, reference, taken};

/// The calendar agrees with another one, and every moment comes back.
pub fn timestamp(data: &[u8]) -> Reached {
    let mut is_taken = false;
    if let Some((text, _)) = data.split_first_chunk::<19>() {
        let parsed = Timestamp::parse(text);
        let expected = std::str::from_utf8(text).is_ok_and(reference::is_timestamp);
        assert_eq!(parsed.is_ok(), expected);
        is_taken = expected;
        if let Ok(parsed) = parsed {
            assert_eq!(parsed.as_bytes(), text);
            assert_eq!(Timestamp::from_unix(parsed.to_unix()), parsed);
            let civil: jiff::civil::DateTime = parsed.as_str().parse().unwrap();
            let zoned = civil.to_zoned_datetime(jiff::tz::TimeZone::UTC);
            // The last day of 9999 is beyond what the other calendar takes for an instant.
            if let Ok(zoned) = zoned {
                let seconds = zoned.timestamp().as_second();
                assert_eq!(parsed.to_unix(), UnixTime::from_seconds(seconds));
            }
        }
    }
    if let Some((seconds, _)) = data.split_first_chunk::<8>() {
        let time = UnixTime::from_seconds(i64::from_le_bytes(*seconds));
        let written = Timestamp::from_unix(time);
        assert_eq!(Timestamp::parse(written.as_bytes()), Ok(written));
    }
    taken(is_taken)
}

/// Phone numbers and codes have one form each.
pub fn phone_otp(data: &[u8]) -> Reached {
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let is_phone = matches!(data, [b'+', first @ b'1'..=b'9', rest @ ..]
        if digits(&[*first]) && digits(rest) && (6..=14).contains(&rest.len()));
    let phone = Phone::parse(data);
    assert_eq!(phone.is_ok(), is_phone);
    if let Ok(phone) = phone {
        assert_eq!(phone.as_bytes(), data);
        assert_eq!(phone.as_str().as_bytes(), data);
        let shown = format!("{phone:?}");
        assert!(shown.chars().count() == 6, "{} characters are shown", shown.chars().count());
    }
    let otp = Otp::parse(data);
    assert_eq!(otp.is_ok(), data.len() == 6 && digits(data));
    if let Ok(otp) = otp {
        assert_eq!(otp.expose()[..], *data);
        assert_eq!(format!("{otp:?}"), "Otp(…)");
        return Reached::from(["a code"]);
    }
    if is_phone { Reached::from(["a phone"]) } else { taken(false) }
}
