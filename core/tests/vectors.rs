//! The portable backend, the parsers and both machines against the test vectors of `vectors/`.

use waxwing_core::crypto::RustCrypto;
use waxwing_testkit::vectors::replay::packets::{self, Seeds};
use waxwing_testkit::vectors::replay::{client, server, values};

#[test]
fn every_packet_reads_as_its_fields_and_can_be_made_again() {
    packets::check::<RustCrypto>(Seeds::Taken);
}

#[test]
fn every_envelope_opens() {
    packets::check_envelopes::<RustCrypto>();
}

#[test]
fn people_compare_the_same_numbers() {
    values::check_safety::<RustCrypto>();
}

#[test]
fn no_parser_takes_a_bad_value() {
    values::check_bad();
}

#[test]
fn the_server_refuses_what_is_bad_and_says_why() {
    server::check::<RustCrypto>();
}

#[test]
fn the_client_closes_on_what_is_bad_and_says_nothing() {
    client::check::<RustCrypto>();
}

#[test]
fn packets_one_after_the_other_come_to_what_is_written() {
    client::check_sequences::<RustCrypto>();
}

#[test]
fn the_server_says_of_a_letter_what_is_written() {
    server::check_fates::<RustCrypto>();
}
