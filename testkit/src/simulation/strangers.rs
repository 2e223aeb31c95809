//! People without an account, each of whom asks for codes from a network of their own.

use std::time::Duration;

use waxwing_core::crypto::ReplyKey;
use waxwing_core::server::{Config, Rate};
use waxwing_core::time::Instant;

use super::dice::Dice;
use crate::backend::Paper;
use crate::person::Person;
use crate::world::Sim;

/// Codes for one phone from one network, at once, and the seconds after which there is one more.
const CODES: u32 = 2;
const NEXT_CODE_S: u64 = 1_800;
/// Phones that nobody has.
const STRANGERS: usize = 2;

fn stranger(who: usize) -> Person<Paper> {
    Person::new(70 + who)
}

#[derive(Default)]
pub(super) struct Strangers {
    attempts: u64,
}

impl Strangers {
    pub(super) fn limit(config: &mut Config) {
        let period = Duration::from_secs(u64::from(CODES) * NEXT_CODE_S);
        config.rates.otps_per_pair = Rate::new(CODES, period);
    }

    /// One of them asks for a code, which is another each time.
    pub(super) fn act(&mut self, dice: &mut dyn Dice, world: &mut Sim<Paper>) {
        let who = dice.roll(STRANGERS);
        let mut person = stranger(who);
        let mut reply_key = [0; 32];
        self.attempts += 1;
        reply_key[..8].copy_from_slice(&self.attempts.to_le_bytes());
        person.reply_key = ReplyKey::from_bytes(&reply_key);
        person.conn = world.connect_from(&format!("198.51.{who}.7"));
        let request = person.request(world);
        world.send(person.conn, &request);
    }

    /// No crash has sent anybody a code more. With another key of the server's the limits begin anew.
    pub(super) fn check(world: &Sim<Paper>) {
        let passed = world.now.instant.since(Instant::default()).as_secs();
        for phone in (0..STRANGERS).map(|who| stranger(who).phone) {
            let codes = world.codes.iter().filter(|(_, to, _)| *to == phone).count() as u64;
            let at_once = u64::from(CODES) * world.server_key_count() as u64;
            assert!(codes <= at_once + passed / NEXT_CODE_S, "{codes} codes for a phone");
        }
    }
}
