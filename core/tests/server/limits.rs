//! How often things may happen, from where, and who is exempt.

use std::time::Duration;

use waxwing_core::crypto::ReplyKey;
use waxwing_core::server::{AddressPrefix, Config, Event, Limit, Rate};
use waxwing_core::wire::{ErrorCode, KeyQuestion};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

type PaperWorld = Sim<Paper>;

const HOUR: u64 = 3_600;

/// Asks for a code from an address, as a new attempt, and gives the refusal.
fn ask(world: &mut PaperWorld, at: usize, attempt: u8, address: &str) -> Option<ErrorCode> {
    ask_and_wait(world, at, attempt, address).map(|(code, _)| code)
}

fn ask_and_wait(
    world: &mut PaperWorld,
    at: usize,
    attempt: u8,
    address: &str,
) -> Option<(ErrorCode, u16)> {
    let mut person = Person::new(at);
    person.reply_key = ReplyKey::from_bytes(&[attempt; 32]);
    person.conn = world.connect_from(address);
    let request = person.request(world);
    world.send(person.conn, &request);
    match person.hear_one(world) {
        Said::CodeIssued { .. } => None,
        Said::Refused(no) => Some((no.code, no.retry_after_s)),
        other => panic!("{other:?}"),
    }
}

/// Sends a 101 with a wrong code from an address.
fn guess(world: &mut PaperWorld, at: usize, attempt: u8, address: &str) -> Option<ErrorCode> {
    let mut person = Person::new(at);
    person.reply_key = ReplyKey::from_bytes(&[attempt; 32]);
    let right = person.code(world);
    let wrong: Vec<_> = right.iter().map(|digit| b'0' + (digit - b'0' + 1) % 10).collect();
    let proof = person.proof(world, &wrong);
    person.conn = world.connect_from(address);
    world.send(person.conn, &proof);
    person.hear_one(world).code()
}

/// Limits of codes and guesses alone: 100s and 101s are not limited.
fn many() -> Config {
    let mut config = Config::default();
    config.rates.registrations = Rate::new(100_000, Duration::from_secs(1));
    config.rates.proofs = Rate::new(100_000, Duration::from_secs(1));
    config.rates.registration_work = Rate::new(1_000_000, Duration::from_secs(1));
    config
}

const LIMITED: Option<ErrorCode> = Some(ErrorCode::RateLimited);

/// Which limits the operator was told of since the last look.
fn limits_reached(world: &mut PaperWorld) -> Vec<Limit> {
    let limit = |event| match event {
        Event::LimitReached { limit } => Some(limit),
        _ => None,
    };
    std::mem::take(&mut world.events).into_iter().filter_map(limit).collect()
}

#[test]
fn an_address_prefix_registers_ten_times_an_hour() {
    let mut world = PaperWorld::new(Config::default());
    for at in 0..10 {
        assert_eq!(ask(&mut world, at, 1, "198.51.100.7"), None);
    }
    assert_eq!(limits_reached(&mut world), []);
    assert_eq!(ask(&mut world, 10, 1, "198.51.100.8"), LIMITED, "the same /24");
    assert_eq!(limits_reached(&mut world), [Limit::Registrations]);
    assert_eq!(ask(&mut world, 10, 1, "198.51.101.7"), None, "another");
    assert_eq!(ask(&mut world, 11, 1, "2001:db8::1"), None);
    let (code, wait) = ask_and_wait(&mut world, 12, 1, "198.51.100.9").unwrap();
    assert_eq!(code, ErrorCode::RateLimited);
    assert!((360..=900).contains(&wait), "{wait}");
    world.wait_s(360);
    assert_eq!(ask(&mut world, 10, 1, "198.51.100.9"), None);
}

#[test]
fn an_ipv6_prefix_is_a_64() {
    let mut config = Config::default();
    config.rates.registrations = Rate::new(1, Duration::from_secs(HOUR));
    let mut world = PaperWorld::new(config);
    assert_eq!(ask(&mut world, 0, 1, "2001:db8:0:1::1"), None);
    assert_eq!(ask(&mut world, 1, 1, "2001:db8:0:1:ffff::9"), LIMITED);
    assert_eq!(ask(&mut world, 1, 1, "2001:db8:0:2::1"), None);
    assert_eq!(ask(&mut world, 2, 1, "::ffff:203.0.113.1"), None);
    assert_eq!(ask(&mut world, 3, 1, "203.0.113.9"), LIMITED, "the same in other clothes");
}

#[test]
fn every_prefix_has_a_number_of_its_own() {
    let number = |address: &str| AddressPrefix::of(address.parse().unwrap()).to_bits();
    let numbers =
        ["198.51.100.7", "198.51.101.7", "2001:db8:0:1::1", "2001:db8:0:2::1"].map(number);
    let distinct: std::collections::BTreeSet<_> = numbers.into_iter().collect();
    assert_eq!(distinct.len(), numbers.len());
    assert_eq!(number("198.51.100.8"), numbers[0], "the same /24");
}

#[test]
fn exempt_peers_skip_limits_per_address() {
    let mut world = PaperWorld::new(Config::default());
    for at in 0..40 {
        let mut person = Person::new(at);
        person.conn = world.connect();
        let request = person.request(&mut world);
        world.send(person.conn, &request);
        assert!(matches!(person.hear_one(&mut world), Said::CodeIssued { .. }));
    }
}

#[test]
fn three_codes_live_per_phone_and_prefix() {
    let mut config = many();
    config.expiry_interval = Duration::from_secs(HOUR);
    config.rates.otps_per_pair = Rate::new(1_000, Duration::from_secs(HOUR));
    config.rates.otps_per_phone = Rate::new(1_000, Duration::from_secs(HOUR));
    let mut world = PaperWorld::new(config);
    for attempt in 0..3 {
        assert_eq!(ask(&mut world, 0, attempt, "198.51.100.7"), None);
    }
    assert_eq!(ask(&mut world, 0, 3, "198.51.100.7"), LIMITED);
    assert_eq!(ask(&mut world, 0, 2, "198.51.100.7"), None, "the same attempt again");
    assert_eq!(ask(&mut world, 0, 4, "203.0.113.1"), None, "the owner elsewhere");
    assert_eq!(ask(&mut world, 1, 5, "198.51.100.7"), None, "another phone");
    world.wait_s(300);
    assert_eq!(ask(&mut world, 0, 6, "198.51.100.7"), None);
}

#[test]
fn three_codes_an_hour_per_phone_and_prefix() {
    let mut world = PaperWorld::new(many());
    for attempt in 0..3 {
        assert_eq!(ask(&mut world, 0, attempt, "198.51.100.7"), None);
        world.wait_s(301);
    }
    assert_eq!(ask(&mut world, 0, 3, "198.51.100.7"), LIMITED);
    assert_eq!(limits_reached(&mut world), [Limit::CodesPerPhoneAndPrefix]);
    assert_eq!(ask(&mut world, 0, 4, "203.0.113.1"), None);
    world.wait_s(HOUR);
    assert_eq!(ask(&mut world, 0, 5, "198.51.100.7"), None);
}

#[test]
fn ten_codes_a_day_per_phone_wherever_they_are_asked_for() {
    let mut world = PaperWorld::new(many());
    for attempt in 0..10 {
        assert_eq!(ask(&mut world, 0, attempt, &format!("198.51.{attempt}.7")), None);
    }
    assert_eq!(ask(&mut world, 0, 10, "203.0.113.1"), LIMITED);
    assert_eq!(limits_reached(&mut world), [Limit::CodesPerPhone]);
    assert_eq!(ask(&mut world, 1, 11, "203.0.113.1"), None);
    assert_eq!(world.codes.len(), 11);
}

#[test]
fn codes_of_the_whole_server_have_a_budget_and_its_end_is_told() {
    let mut config = many();
    config.rates.otps = Rate::new(2, Duration::from_secs(2 * HOUR));
    let mut world = PaperWorld::new(config);
    assert_eq!(ask(&mut world, 0, 1, "198.51.100.7"), None);
    assert!(!world.events.contains(&Event::CodesSpent));
    assert_eq!(ask(&mut world, 1, 1, "203.0.113.1"), None);
    assert!(world.events.contains(&Event::CodesSpent));
    let refused = ask_and_wait(&mut world, 2, 1, "192.0.2.1");
    assert_eq!(refused, Some((ErrorCode::RateLimited, 3_600)));
    assert_eq!(world.codes.len(), 2);
    assert_eq!(ask(&mut world, 1, 1, "203.0.113.1"), None, "the same attempt again");
    let said = guess(&mut world, 1, 1, "203.0.113.1");
    assert_eq!(said, Some(ErrorCode::OtpWrong), "what has gone out can be used");
    world.wait_s(HOUR);
    assert_eq!(ask(&mut world, 2, 1, "192.0.2.1"), None);
}

#[test]
fn so_many_codes_live_on_the_server() {
    let mut world = PaperWorld::new(Config { live_otps: 3, ..many() });
    for at in 0..3 {
        assert_eq!(ask(&mut world, at, 1, "198.51.100.7"), None);
    }
    assert_eq!(ask(&mut world, 3, 1, "203.0.113.1"), LIMITED);
    let said = guess(&mut world, 0, 1, "198.51.100.7");
    assert_eq!(said, Some(ErrorCode::OtpWrong), "what has gone out can be used");
    world.wait_s(300);
    assert_eq!(ask(&mut world, 3, 1, "203.0.113.1"), None);
}

#[test]
fn a_code_with_which_somebody_has_registered_takes_no_room() {
    let mut world = PaperWorld::new(Config { live_otps: 1, ..many() });
    for at in 0..3 {
        Person::new(at).register(&mut world);
    }
    assert_eq!(world.disk.users().count(), 3);
}

#[test]
fn a_code_that_has_expired_makes_room_at_once_for_the_next() {
    let expiry_interval = Duration::from_secs(HOUR);
    let mut world = PaperWorld::new(Config { live_otps: 1, expiry_interval, ..many() });
    assert_eq!(ask(&mut world, 0, 1, "198.51.100.7"), None);
    world.wait_s(299);
    assert_eq!(ask(&mut world, 1, 1, "198.51.100.7"), LIMITED);
    world.wait_s(1);
    assert_eq!(ask(&mut world, 1, 1, "198.51.100.7"), None);
}

#[test]
fn fifteen_wrong_guesses_a_day_per_prefix() {
    let mut world = PaperWorld::new(many());
    for at in 0..5 {
        assert_eq!(ask(&mut world, at, 1, "198.51.100.7"), None);
        for _ in 0..3 {
            let said = guess(&mut world, at, 1, "198.51.100.7");
            assert_eq!(said, Some(ErrorCode::OtpWrong));
        }
    }
    assert_eq!(ask(&mut world, 5, 1, "198.51.100.7"), None);
    assert_eq!(guess(&mut world, 5, 1, "198.51.100.7"), LIMITED);
    assert_eq!(limits_reached(&mut world), [Limit::WrongCodesPerPrefix]);
    // It counted no attempt, and elsewhere it goes on.
    for _ in 0..3 {
        assert_eq!(guess(&mut world, 5, 1, "203.0.113.1"), Some(ErrorCode::OtpWrong));
    }
}

#[test]
fn a_wrong_proof_played_back_counts_nowhere() {
    let mut config = many();
    config.rates.guesses_per_prefix = Rate::new(3, Duration::from_secs(86_400));
    config.rates.guesses = Rate::new(3, Duration::from_secs(86_400));
    let mut world = PaperWorld::new(config);
    let mut ann = Person::new(0);
    ann.reply_key = ReplyKey::from_bytes(&[1; 32]);
    assert_eq!(ask(&mut world, 0, 1, "198.51.100.7"), None);
    let code = ann.code(&world);
    let wrong =
        |digit: u8| [vec![(code[0] - b'0' + digit) % 10 + b'0'], code[1..].to_vec()].concat();
    let say = |world: &mut PaperWorld, ann: &mut Person<Paper>, proof: &[u8], address| {
        ann.conn = world.connect_from(address);
        world.send(ann.conn, proof);
        ann.hear_one(world).code()
    };
    // Two of three attempts, each played back again and again, before the next and after it.
    let typed = [1, 2].map(|digit| ann.proof(&mut world, &wrong(digit)));
    for proof in [&typed[0], &typed[0], &typed[1], &typed[0], &typed[1], &typed[1]] {
        for address in ["198.51.100.7", "203.0.113.66"] {
            let said = say(&mut world, &mut ann, proof, address);
            assert_eq!(said, Some(ErrorCode::OtpWrong));
        }
    }
    assert!(!world.events.contains(&Event::GuessingSuspected));
    // The last attempt is still there, and so are those of the network and of the server.
    let right = ann.proof(&mut world, &code);
    assert_eq!(say(&mut world, &mut ann, &right, "198.51.100.7"), None);

    // The last attempt played back says what it said, too; the same code in another 101 does not.
    assert_eq!(ask(&mut world, 1, 1, "192.0.2.7"), None);
    let mut ben = Person::new(1);
    ben.reply_key = ReplyKey::from_bytes(&[1; 32]);
    let mut last = Vec::new();
    let wrong = if ben.code(&world) == b"000000" { b"000001" } else { b"000000" };
    for _ in 0..3 {
        last = ben.proof(&mut world, wrong);
        assert_eq!(say(&mut world, &mut ben, &last, "192.0.2.7"), Some(ErrorCode::OtpWrong));
    }
    assert_eq!(say(&mut world, &mut ben, &last, "198.18.0.7"), Some(ErrorCode::OtpWrong));
    let another = ben.proof(&mut world, wrong);
    let said = say(&mut world, &mut ben, &another, "198.18.0.7");
    assert_eq!(said, Some(ErrorCode::OtpAttemptsSpent));
}

#[test]
fn after_too_many_wrong_guesses_on_the_server_new_codes_survive_one() {
    let mut config = many();
    config.rates.guesses = Rate::new(4, Duration::from_secs(86_400));
    let mut world = PaperWorld::new(config);
    assert_eq!(ask(&mut world, 8, 1, "198.51.100.7"), None, "an old code");
    for at in 0..2 {
        ask(&mut world, at, 1, "198.51.100.7");
        for _ in 0..2 {
            guess(&mut world, at, 1, "198.51.100.7");
        }
    }
    let told = world.events.iter().filter(|event| **event == Event::GuessingSuspected).count();
    assert_eq!(told, 1);

    let mut person = Person::<Paper>::new(9);
    person.conn = world.connect();
    let request = person.request(&mut world);
    world.send(person.conn, &request);
    assert!(matches!(person.hear_one(&mut world), Said::CodeIssued { attempts: 1, .. }));
    assert_eq!(ask(&mut world, 3, 1, "198.51.100.7"), None);
    assert_eq!(guess(&mut world, 3, 1, "203.0.113.1"), Some(ErrorCode::OtpWrong));
    assert_eq!(guess(&mut world, 3, 1, "203.0.113.1"), Some(ErrorCode::OtpAttemptsSpent));
    for expected in [ErrorCode::OtpWrong, ErrorCode::OtpWrong, ErrorCode::OtpWrong] {
        assert_eq!(guess(&mut world, 8, 1, "203.0.113.1"), Some(expected));
    }
    let told = world.events.iter().filter(|event| **event == Event::GuessingSuspected).count();
    assert_eq!(told, 1, "the operator is told once");
}

#[test]
fn a_106_is_counted_per_user_and_prefix_once_its_signature_holds() {
    let (mut world, [mut ann, ben]) = PaperWorld::populated(Config::default());
    let recorded = ann.long(&mut world);
    for _ in 0..100 {
        let conn = world.connect_from("203.0.113.66");
        world.send(conn, &recorded);
        let forged = packets::flipped(&recorded, recorded.len() - 1);
        let anothers = ben.packet_as(&mut world, ann.id().get(), 0, 106, &[7; 256]);
        for packet in [forged, anothers] {
            let conn = world.connect_from("203.0.113.67");
            world.send(conn, &packet);
            assert!(world.is_closed(conn));
        }
    }
    // The recorded one was answered once; what nobody has signed uses up nothing.
    for _ in 1..60 {
        ann.conn = world.connect_from("203.0.113.68");
        let fresh = ann.long(&mut world);
        world.send(ann.conn, &fresh);
        assert!(matches!(ann.hear_one(&mut world), Said::SessionOffered(_)));
    }
    ann.conn = world.connect_from("203.0.113.66");
    let fresh = ann.long(&mut world);
    world.send(ann.conn, &fresh);
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::RateLimited]);
    assert_eq!(limits_reached(&mut world), [Limit::Reconnects]);
    ann.conn = world.connect_from("198.51.100.7");
    world.send(ann.conn, &fresh);
    assert!(matches!(ann.hear_one(&mut world), Said::SessionOffered(_)));
}

#[test]
fn private_key_operations_have_budgets_of_their_own() {
    let mut config = many();
    config.rates.registration_work = Rate::new(2, Duration::from_secs(10));
    config.rates.reconnect_work = Rate::new(1, Duration::from_secs(10));
    let (mut world, people) = PaperWorld::populate_shards(config, 7, 2, 1);
    let [mut ann, mut ben] = people.try_into().ok().unwrap();
    for at in 10..12 {
        assert_eq!(ask(&mut world, at, 1, "198.51.100.7"), None);
    }
    assert_eq!(ask(&mut world, 12, 1, "198.51.100.7"), Some(ErrorCode::Busy));
    assert_eq!(limits_reached(&mut world), [Limit::RegistrationWork]);
    ann.come_to_nothing(&mut world);

    // Whoever was told to wait may send the same bytes again.
    let request = ben.long(&mut world);
    ben.conn = world.connect();
    world.send(ben.conn, &request);
    assert_eq!(ben.hear_refusals(&mut world), [ErrorCode::Busy]);
    assert_eq!(limits_reached(&mut world), [Limit::ReconnectWork]);
    world.wait_s(10);
    ben.conn = world.connect();
    world.send(ben.conn, &request);
    assert!(matches!(ben.hear_one(&mut world), Said::SessionOffered(_)));
}

#[test]
fn whoever_is_to_wait_for_a_part_of_a_second_is_told_one_and_not_none() {
    let mut config = many();
    // The default is 1,000 a second, so the next one is never a millisecond away.
    config.rates.reconnect_work = Rate::new(1, Duration::from_micros(500));
    let (mut world, people) = PaperWorld::populate_shards(config, 7, 2, 1);
    let [mut ann, mut ben] = people.try_into().ok().unwrap();
    let requests = [&mut ann, &mut ben].map(|person| {
        person.conn = world.connect();
        (person.conn, person.long(&mut world))
    });
    requests.iter().for_each(|(conn, request)| world.send(*conn, request));
    assert!(matches!(ann.hear_one(&mut world), Said::SessionOffered(_)));
    let Said::Refused(no) = ben.hear_one(&mut world) else { panic!() };
    assert_eq!((no.code, no.retry_after_s), (ErrorCode::Busy, 1));
}

#[test]
fn five_hundred_phones_a_day_can_be_asked_about() {
    let mut config = Config::default();
    config.rates.questions = Rate::new(3, Duration::from_secs(86_400));
    let (mut world, [mut ann, ben]) = PaperWorld::populated(config);
    ann.come_to_nothing(&mut world);
    let question = KeyQuestion::ByPhone(ben.phone);
    for _ in 0..3 {
        ann.ask(&mut world, question);
        assert!(matches!(ann.hear_one(&mut world), Said::Key(_)));
    }
    ann.ask(&mut world, question);
    let Said::Refused(no) = ann.hear_one(&mut world) else { panic!() };
    assert_eq!((no.code, no.op, no.retry_after_s), (ErrorCode::RateLimited, 105, 28_800));
    assert_eq!(limits_reached(&mut world), [Limit::Lookups]);
    ann.ask(&mut world, KeyQuestion::ById(ann.id()));
    assert!(matches!(ann.hear_one(&mut world), Said::Key(_)), "about oneself always");
    // The limit is the user's, not the session's.
    ann.come_to_nothing(&mut world);
    ann.ask(&mut world, question);
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::RateLimited]);
    world.wait_s(28_800);
    ann.ask(&mut world, question);
    assert!(matches!(ann.hear_one(&mut world), Said::Key(_)));
}

/// Sends a 101 on a connection of its own, and gives the refusal and its wait.
fn prove_at_random(world: &mut PaperWorld, at: usize, address: Option<&str>) -> (ErrorCode, u16) {
    let mut person = Person::new(at);
    person.conn = match address {
        Some(address) => world.connect_from(address),
        None => world.connect(),
    };
    let proof = person.proof(world, b"000000");
    world.send(person.conn, &proof);
    match person.hear_one(world) {
        Said::Refused(no) => (no.code, no.retry_after_s),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_prefix_proves_so_often_an_hour_and_exempt_peers_always() {
    let mut config = many();
    config.rates.proofs = Rate::new(3, Duration::from_secs(HOUR));
    let mut world = PaperWorld::new(config);
    for at in 0..3 {
        let (code, _) = prove_at_random(&mut world, at, Some("198.51.100.7"));
        assert_eq!(code, ErrorCode::OtpExpired, "nobody has asked for a code");
    }
    let (code, wait) = prove_at_random(&mut world, 3, Some("198.51.100.8"));
    assert_eq!(code, ErrorCode::RateLimited, "the same /24");
    assert!((1..=3_600).contains(&wait), "{wait}");
    assert_eq!(limits_reached(&mut world), [Limit::Proofs]);
    let elsewhere = prove_at_random(&mut world, 3, Some("198.51.101.7"));
    assert_eq!(elsewhere.0, ErrorCode::OtpExpired, "another");
    for at in 4..14 {
        assert_eq!(prove_at_random(&mut world, at, None).0, ErrorCode::OtpExpired);
    }
}
