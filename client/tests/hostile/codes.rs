//! Guessing codes, flooding phones with them, and keeping people from getting theirs.

use waxwing::backend::rng;
use waxwing_core::crypto::ReplyKey;
use waxwing_core::wire::{ErrorCode, Op};
use waxwing_testkit::person::Said;

use crate::line::Door;
use crate::peer::Peer;
use crate::sent_codes::server_and_sent_codes;

impl Peer {
    /// Asks for a code under the same reply key as before, and says how often it can be guessed.
    #[track_caller]
    fn ask(&mut self) -> u8 {
        match self.call(&self.request()) {
            Some(Said::CodeIssued { attempts, code: None, .. }) => attempts,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn ask_anew(&mut self) -> u8 {
        self.reply_key = ReplyKey::generate(&mut rng());
        self.ask()
    }

    /// What is said to a 101 with this code.
    #[track_caller]
    fn guess(&mut self, code: &str) -> Said {
        let proof = self.proof(code);
        self.call(&proof).unwrap()
    }

    #[track_caller]
    fn guesses(&mut self, code: &str, expected: ErrorCode) {
        let Said::Refused(no) = self.guess(code) else { panic!("a guess was right") };
        assert_eq!((no.code, no.op, no.packet.is_some()), (expected, 101, true));
        assert_eq!(self.hear(), None);
    }

    /// Registers with this code, on a connection of its own.
    #[track_caller]
    fn proves(&mut self, code: &str) {
        assert_eq!(self.guess(code), Said::SessionOffered(Op::SessionIssued));
        self.confirm(128);
        self.is_served();
    }
}

fn wrong(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

#[test]
fn three_wrong_codes_spend_a_code_for_the_right_one_too() {
    let (server, sent) = server_and_sent_codes(&[]);
    let mut peer = Peer::new(Door::of(&server), 0);
    assert_eq!(peer.ask(), 3);
    let code = sent.code(peer.phone.as_str(), 1);
    for _ in 0..3 {
        peer.guesses(wrong(&code), ErrorCode::OtpWrong);
    }
    peer.guesses(&code, ErrorCode::OtpAttemptsSpent);
    peer.ask_anew();
    peer.proves(&sent.code(peer.phone.as_str(), 2));
}

#[test]
fn wrong_codes_use_up_the_budget_of_their_own_address_prefix() {
    let budget = ("limits.wrong_codes_per_prefix_per_day", "6");
    let (server, sent) = server_and_sent_codes(&[("limits.exempt", ""), budget]);
    let door = Door::of(&server);
    for at in 0..2 {
        let mut guesser = Peer::new(door, at).at(1);
        guesser.ask();
        let code = sent.code(guesser.phone.as_str(), 1);
        for _ in 0..3 {
            guesser.guesses(wrong(&code), ErrorCode::OtpWrong);
        }
    }
    let mut peer = Peer::new(door, 2).at(1);
    peer.ask();
    let code = sent.code(peer.phone.as_str(), 1);
    // Even a right one: else the prefix could go on guessing.
    peer.guesses(&code, ErrorCode::RateLimited);
    peer.at(2).proves(&code);
}

#[test]
fn after_too_many_wrong_codes_on_the_server_a_new_code_has_one_attempt() {
    let (server, sent) = server_and_sent_codes(&[("limits.wrong_codes_per_day", "6")]);
    let door = Door::of(&server);
    let mut early = Peer::new(door, 0);
    assert_eq!(early.ask(), 3);
    for at in 1..3 {
        let mut guesser = Peer::new(door, at);
        assert_eq!(guesser.ask(), 3);
        let code = sent.code(guesser.phone.as_str(), 1);
        for _ in 0..3 {
            guesser.guesses(wrong(&code), ErrorCode::OtpWrong);
        }
    }
    server.process().wait_for_err("new ones are good for one attempt");

    let mut late = Peer::new(door, 3);
    assert_eq!(late.ask(), 1);
    let code = sent.code(late.phone.as_str(), 1);
    late.guesses(wrong(&code), ErrorCode::OtpWrong);
    late.guesses(&code, ErrorCode::OtpAttemptsSpent);
    // Honest people who type well are served all the same.
    let mut honest = Peer::new(door, 4);
    assert_eq!(honest.ask(), 1);
    honest.proves(&sent.code(honest.phone.as_str(), 1));
    let code = sent.code(early.phone.as_str(), 1);
    early.guesses(wrong(&code), ErrorCode::OtpWrong);
    early.proves(&code);
}

#[test]
fn a_phone_is_sent_no_more_codes_than_its_limits_whoever_asks() {
    let (server, sent) = server_and_sent_codes(&[("limits.exempt", "")]);
    let door = Door::of(&server);
    let mut flooder = Peer::new(door, 0);
    let mut asked = 0;
    for network in 1..=4 {
        flooder = flooder.at(network);
        let of_this_prefix = if network == 4 { 1 } else { 3 };
        for _ in 0..of_this_prefix {
            flooder.ask_anew();
            asked += 1;
        }
        for _ in 0..2 {
            flooder.reply_key = ReplyKey::generate(&mut rng());
            let said = flooder.call(&flooder.request());
            let Some(Said::Refused(no)) = said else { panic!("{said:?}") };
            assert_eq!((no.code, no.packet.is_some()), (ErrorCode::RateLimited, true));
            assert!(no.retry_after_s > 0);
        }
    }
    assert_eq!(asked, 10);
    // Another phone is another matter, and its code comes after all of the flood.
    let mut peer = Peer::new(door, 1).at(5);
    peer.ask();
    peer.proves(&sent.code(peer.phone.as_str(), 1));
    sent.code(flooder.phone.as_str(), 10);
    assert_eq!(sent.codes(flooder.phone.as_str()).len(), 10);
}

#[test]
fn a_server_that_ends_after_each_code_sends_a_phone_no_more_of_them() {
    let (mut server, sent) = server_and_sent_codes(&[("limits.exempt", "")]);
    let mut flooder = Peer::new(Door::of(&server), 0);
    for (network, number) in (1..=4).flat_map(|network| [(network, 1), (network, 2), (network, 3)])
    {
        flooder = flooder.at(network);
        if network < 4 || number == 1 {
            flooder.ask_anew();
            sent.code(flooder.phone.as_str(), usize::from(network - 1) * 3 + number);
        }
        if number == 2 {
            server.kill();
        } else {
            server.stop();
        }
        server.start();
    }
    for network in 1..=5 {
        flooder = flooder.at(network);
        flooder.reply_key = ReplyKey::generate(&mut rng());
        let said = flooder.call(&flooder.request());
        assert_eq!(said.and_then(|said| said.code()), Some(ErrorCode::RateLimited));
    }
    assert_eq!(sent.codes(flooder.phone.as_str()).len(), 10);
}

#[test]
fn somebody_elsewhere_neither_cancels_a_live_code_nor_spends_its_attempts() {
    let (server, sent) = server_and_sent_codes(&[("limits.exempt", "")]);
    let door = Door::of(&server);
    let mut victim = Peer::new(door, 0).at(1);
    victim.ask();
    let code = sent.code(victim.phone.as_str(), 1);

    let mut thief = Peer::new(door, 1);
    thief.phone = victim.phone;
    for network in 2..=3 {
        thief = thief.at(network);
        for _ in 0..3 {
            // The right code does not help without the victim's reply key.
            thief.reply_key = ReplyKey::generate(&mut rng());
            thief.guesses(&code, ErrorCode::OtpExpired);
            thief.ask();
            thief.guesses(wrong(&code), ErrorCode::OtpWrong);
        }
        // What the address prefix may ask for at all.
        for _ in 0..7 {
            thief.call(&thief.request());
        }
        let said = thief.call(&thief.request());
        let Some(Said::Refused(no)) = said else { panic!("{said:?}") };
        assert_eq!((no.code, no.packet), (ErrorCode::RateLimited, None));
    }

    assert_eq!(victim.ask(), 3);
    for _ in 0..2 {
        victim.guesses(wrong(&code), ErrorCode::OtpWrong);
    }
    victim.proves(&code);
    thief.guesses(&code, ErrorCode::OtpExpired);
    assert_eq!(sent.codes(victim.phone.as_str()).len(), 7);
}
