//! The AWS-LC backend, and both machines on it, against the test vectors of `vectors/`. Its OAEP takes
//! no seed, so it opens those blocks and cannot make them again.

use waxwing_aws_lc::AwsLc;
use waxwing_testkit::vectors::replay::packets::{self, Seeds};
use waxwing_testkit::vectors::replay::{client, server, values};

#[test]
fn every_packet_reads_as_its_fields_and_is_signed_the_same() {
    packets::check::<AwsLc>(Seeds::Own);
}

#[test]
fn every_envelope_opens() {
    packets::check_envelopes::<AwsLc>();
}

#[test]
fn people_compare_the_same_numbers() {
    values::check_safety::<AwsLc>();
}

#[test]
fn the_server_refuses_what_is_bad_and_says_why() {
    server::check::<AwsLc>();
}

#[test]
fn the_client_closes_on_what_is_bad_and_says_nothing() {
    client::check::<AwsLc>();
}

#[test]
fn packets_one_after_the_other_come_to_what_is_written() {
    client::check_sequences::<AwsLc>();
}

#[test]
fn the_server_says_of_a_letter_what_is_written() {
    server::check_fates::<AwsLc>();
}
