//! Values that a parser must refuse, and the numbers that people compare.

use waxwing_core::crypto::Spki;
use waxwing_core::envelope::{Fingerprint, SafetyNumber};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::Timestamp;
use waxwing_core::wire::Packet;

use super::{bytes, cases, fields, text};
use crate::backend::Backend;
use crate::vectors::json::hex;

/// Everything in `bad_values.json` is refused.
pub fn check_bad() {
    for case in cases("bad_values.json") {
        let bytes = bytes(&case, "bytes");
        let (refused, error) = match text(&case, "kind") {
            "timestamp" => (Timestamp::parse(bytes.first_chunk().unwrap()).is_err(), "Malformed"),
            "header_and_rest" => (Packet::parse(&bytes[..]).is_err(), "Malformed"),
            "phone" => (Phone::parse(&bytes).is_err(), "BadPhone"),
            "otp" => (Otp::parse(&bytes).is_err(), "Malformed"),
            "spki" => (Spki::parse(&bytes).is_err(), "WeakKey"),
            kind => (fields::of(kind, &bytes).is_err(), "Malformed"),
        };
        assert!(refused, "taken: {}", text(&case, "name"));
        assert_eq!(case["error"], error);
    }
}

/// Fingerprints and safety numbers, in both orders.
pub fn check_safety<P: Backend>() {
    let provider = P::default();
    for case in cases("safety.json") {
        let people = case["people"].as_array().unwrap();
        let [one, other] = [0, 1].map(|at| {
            let phone = Phone::parse(text(&people[at], "phone").as_bytes()).unwrap();
            let spki = Spki::parse(&bytes(&people[at], "spki")).unwrap();
            let fingerprint = Fingerprint::of(&provider, &phone, &spki);
            assert_eq!(hex(fingerprint.0), people[at]["fingerprint"]);
            fingerprint
        });
        for number in
            [SafetyNumber::of(&provider, &one, &other), SafetyNumber::of(&provider, &other, &one)]
        {
            assert_eq!(number.to_string(), case["safety_number"]);
        }
    }
}
