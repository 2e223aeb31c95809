//! People without an account, who ask for codes and guess at them, from networks of their own.

use waxwing_core::crypto::ReplyKey;
use waxwing_core::time::Instant;
use waxwing_core::wire::ErrorCode;

use super::dice::Dice;
use crate::backend::Paper;
use crate::person::Person;
use crate::world::Sim;

/// Codes for one phone from one network, at once, and the seconds after which there is one more.
const CODES: u64 = 3;
const NEXT_CODE_S: u64 = 1_200;
/// Wrong codes from one network.
const WRONG_CODES: u64 = 15;
/// Phones that nobody has, and networks.
const STRANGERS: usize = 3;

/// What each of them has had, whatever became of the server meanwhile.
#[derive(Default)]
pub(super) struct Strangers {
    attempts: u8,
    wrong: [u64; STRANGERS],
}

impl Strangers {
    /// One of them asks for a code, or guesses at the last.
    pub(super) fn act(&mut self, dice: &mut dyn Dice, world: &mut Sim<Paper>) {
        let who = dice.roll(STRANGERS);
        let mut person = Person::<Paper>::new(70 + who);
        let asks = dice.roll(3) == 0;
        self.attempts = self.attempts.wrapping_add(u8::from(asks));
        person.reply_key = ReplyKey::from_bytes(&[self.attempts; 32]);
        person.conn = world.connect_from(&format!("198.51.{who}.7"));
        let packet = if asks { person.request(world) } else { person.proof(world, b"000000") };
        world.send(person.conn, &packet);
        let said = person.hear(world);
        let is_wrong = said.iter().any(|said| said.code() == Some(ErrorCode::OtpWrong));
        self.wrong[who] += u64::from(is_wrong);
    }

    /// No crash has given anybody a code or a guess more.
    pub(super) fn check(&self, world: &Sim<Paper>) {
        let passed = world.now.instant.since(Instant::default()).as_secs();
        for (who, wrong) in self.wrong.iter().enumerate() {
            let phone = Person::<Paper>::new(70 + who).phone;
            let codes = world.codes.iter().filter(|(_, to, _)| *to == phone).count() as u64;
            assert!(codes <= CODES + passed / NEXT_CODE_S, "{codes} codes for one phone");
            assert!(*wrong <= WRONG_CODES + 1, "{wrong} wrong codes from one network");
        }
    }
}
