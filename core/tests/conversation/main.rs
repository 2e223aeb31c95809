//! Whole clients and the server with real cryptography: what a person would notice.

mod letters;
mod lost_answers;
mod opening;
mod replays;

use waxwing_core::crypto::RustCrypto;
use waxwing_core::phone::Phone;
use waxwing_core::wire::Status;
use waxwing_testkit::backend::Backend;
use waxwing_testkit::profile::State;

type Population = waxwing_testkit::population::Population<RustCrypto>;

/// The places of people in a population.
const ANN: usize = 0;
const BEN: usize = 1;
const EVE: usize = 2;

/// So many people without an account, none of whom is connected.
fn strangers(count: usize) -> Population {
    let mut all = Population::of(0);
    for at in 1..=count {
        let phone = Phone::parse(format!("+491510000{at:04}").as_bytes()).unwrap();
        all.add(phone, RustCrypto::key(at), None);
    }
    all
}

/// Two people with accounts, connected.
fn two_people() -> Population {
    let mut all = strangers(2);
    all.register(ANN);
    all.register(BEN);
    all
}

/// The sizes of the backlogs that somebody has had.
fn backlogs(all: &Population, who: usize) -> Vec<u32> {
    let notices = all.people[who].profile.notices.iter();
    let sizes = notices.filter_map(|notice| notice.strip_prefix("BacklogEnd(")?.strip_suffix(")"));
    sizes.map(|size| size.parse().unwrap()).collect()
}

/// What is known of the letters that somebody has written.
fn statuses(all: &Population, who: usize) -> Vec<Status> {
    all.people[who].profile.stored.outbox.iter().map(|letter| letter.status).collect()
}

/// Letters that lie at the server.
fn pending(all: &Population) -> usize {
    all.world.disk.places().len()
}

/// Somebody goes on until the last letter in the outbox is sealed, and has yet to go out.
fn seal(all: &mut Population, who: usize) -> Vec<u8> {
    loop {
        all.step(who);
        let letter = all.people[who].profile.stored.outbox.last().unwrap();
        if letter.state == State::Sent {
            return letter.packet.as_ref().unwrap().0.to_vec();
        }
    }
}

/// What the server has said to somebody goes lost with the connection.
fn lose_answers(all: &mut Population, who: usize) {
    let conn = all.connection(who);
    let _ = all.world.bytes(conn);
    all.cut(who);
}

/// Everybody reads and answers, and no time passes but the moments that the server takes.
fn talk(all: &mut Population) {
    for _ in 0..8 {
        for who in 0..all.people.len() {
            all.step(who);
        }
    }
}
