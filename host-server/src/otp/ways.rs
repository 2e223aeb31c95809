//! The ways of codes that are configured: the first, and the one that is taken when it fails.

use std::collections::HashMap;
use std::time::Duration;

use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::Instant;

use super::breaker::Breaker;
use super::{DeliveryError, DeliveryTicket, OtpDelivery};

/// The number of a way: 0 is the first.
pub type WayNumber = usize;

/// There are so many ways at most: `otp.delivery` and `otp.fallback`.
pub const MOST_WAYS: usize = 2;

/// A way on which the last code did not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Its name in the configuration.
    pub way: &'static str,
    /// So many codes in a row did not.
    pub failures: u32,
    /// The last of them did not so long ago.
    pub ago: Duration,
    /// It rests, and is tried again in so much time.
    pub rests: Option<Duration>,
}

/// What has become of a code on one of the ways.
pub type WayReport = (WayNumber, DeliveryTicket, Result<(), DeliveryError>);

/// How a delivery ended.
pub type DeliveryReport = (DeliveryTicket, Result<(), DeliveryError>);

/// All ways, and the codes on them. A code that does not get through on one way takes the next. It does so,
/// too, when nobody knows whether it got through: the same code twice harms nobody.
#[derive(Default)]
pub struct Ways {
    ways: Vec<Way>,
    /// Codes go in band by now: these ways are only for those that were made before.
    are_past: bool,
    /// How often others have taken their place.
    generation: u64,
    /// Ways that take no more codes, and are not done with those that they have.
    retired: Vec<Box<dyn OtpDelivery>>,
    under_way: HashMap<DeliveryTicket, UnderWay>,
}

struct Way {
    name: &'static str,
    delivery: Box<dyn OtpDelivery>,
    breaker: Breaker,
}

/// A code that is on one of the ways.
struct UnderWay {
    phone: Phone,
    code: Otp,
    /// Why it may have gone out on an earlier way.
    perhaps: Option<DeliveryError>,
    /// It takes this way alone.
    is_test: bool,
    /// The generation of the way that it is on.
    generation: u64,
}

impl Ways {
    /// Adds a way behind all others. It reports under the number that this returns.
    pub(crate) fn add(&mut self, name: &'static str, delivery: Box<dyn OtpDelivery>) {
        self.ways.push(Way { name, delivery, breaker: Breaker::default() });
    }

    /// From now on codes go other ways. What is under way arrives; what fails there goes one of the others.
    /// If there are none, codes go in band, and those that were made before still take these.
    pub(crate) fn give_way_to(&mut self, next: Self) {
        self.are_past = next.ways.is_empty();
        if self.are_past {
            return;
        }
        self.retired.retain(|way| !way.is_done());
        for mut before in std::mem::replace(&mut self.ways, next.ways) {
            before.delivery.retire();
            self.retired.push(before.delivery);
        }
        self.generation += 1;
    }

    /// Sends a code on the first way that does not rest. When all of them rest, the machine makes no codes,
    /// and one that was made before tries the first way.
    pub(crate) fn deliver(
        &mut self,
        ticket: DeliveryTicket,
        phone: &Phone,
        code: &Otp,
        now: Instant,
    ) {
        let code = self.setting_out(phone, code, false);
        let number = self.awake(0, now).unwrap_or(0);
        self.send(number, ticket, code);
    }

    /// Sends a code on this way, even if it rests, and on no other.
    pub(crate) fn deliver_on(
        &mut self,
        number: WayNumber,
        ticket: DeliveryTicket,
        phone: &Phone,
        code: &Otp,
    ) {
        let code = self.setting_out(phone, code, true);
        self.send(number, ticket, code);
    }

    /// The name in the configuration of the way with this number; `None` if no code goes there any more.
    pub(crate) fn name(&self, number: WayNumber) -> Option<&'static str> {
        self.present().get(number).map(|way| way.name)
    }

    /// A way has told what became of a code. If that is the end of it, how it ended.
    pub(crate) fn ended(
        &mut self,
        (number, ticket, result): WayReport,
        now: Instant,
    ) -> Option<DeliveryReport> {
        let mut code = self.under_way.remove(&ticket)?;
        let counts = result.as_ref().err().is_none_or(DeliveryError::blames_the_way);
        let is_of_today = code.generation == self.generation;
        if let Some(way) = self.ways.get_mut(number).filter(|_| counts && is_of_today)
            && way.breaker.ended(result.is_ok(), now)
        {
            tracing::warn!(
                name: "codes_way_rests",
                way = way.name,
                "one-time passwords do not get through, and take this way no more for 30 s"
            );
        }
        let error = match result {
            Ok(()) => return Some((ticket, Ok(()))),
            Err(error @ DeliveryError::Ending) => return Some((ticket, Err(error))),
            Err(error) => error,
        };
        if error.may_be_out() {
            code.perhaps.get_or_insert(error.clone());
        }
        let next = if is_of_today { number + 1 } else { 0 };
        match self.awake(next, now) {
            Some(next) if !code.is_test => {
                code.generation = self.generation;
                self.send(next, ticket, code);
                None
            }
            _ => Some((ticket, Err(code.perhaps.unwrap_or(error)))),
        }
    }

    /// Until when no code goes out, because all ways rest.
    pub(crate) fn rest_until(&self, now: Instant) -> Option<Instant> {
        let rests: Option<Vec<_>> =
            self.present().iter().map(|way| way.breaker.rests_until(now)).collect();
        rests?.into_iter().min()
    }

    /// The ways on which the last code did not get through.
    pub(crate) fn failing(&self, now: Instant) -> [Option<Failing>; MOST_WAYS] {
        let mut failing = self.present().iter().filter_map(|way| {
            let failures = Some(way.breaker.failures()).filter(|failures| *failures > 0)?;
            let rests = way.breaker.rests_until(now).map(|until| until.since(now));
            let ago = now.since(way.breaker.failed_at());
            Some(Failing { way: way.name, failures, ago, rests })
        });
        std::array::from_fn(|_| failing.next())
    }

    /// Those that new codes take.
    fn present(&self) -> &[Way] {
        if self.are_past { &[] } else { &self.ways }
    }

    /// The first way from this one on that does not rest.
    fn awake(&self, from: WayNumber, now: Instant) -> Option<WayNumber> {
        let mut ways = self.ways.iter().enumerate().skip(from);
        ways.find(|(_, way)| way.breaker.rests_until(now).is_none()).map(|(number, _)| number)
    }

    fn setting_out(&self, phone: &Phone, code: &Otp, is_test: bool) -> UnderWay {
        let (phone, code, generation) = (*phone, code.clone(), self.generation);
        UnderWay { phone, code, perhaps: None, is_test, generation }
    }

    fn send(&mut self, number: WayNumber, ticket: DeliveryTicket, code: UnderWay) {
        if let Some(way) = self.ways.get(number) {
            way.delivery.deliver(ticket, &code.phone, &code.code);
            self.under_way.insert(ticket, code);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::{TestCodes, TestEnd, TestRefused};
    use super::*;

    /// Tickets that came this way.
    #[derive(Clone, Default)]
    struct Fake(Arc<Mutex<Vec<u64>>>);

    impl OtpDelivery for Fake {
        fn deliver(&self, ticket: DeliveryTicket, _: &Phone, _: &Otp) {
            self.0.lock().unwrap().push(ticket.0);
        }
    }

    impl Fake {
        fn came(&self) -> Vec<u64> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    fn two() -> (Ways, Fake, Fake) {
        let (mut ways, first, second) = (Ways::default(), Fake::default(), Fake::default());
        ways.add("webhook", Box::new(first.clone()));
        ways.add("exec", Box::new(second.clone()));
        (ways, first, second)
    }

    fn deliver(ways: &mut Ways, ticket: u64, now: Instant) {
        let phone = Phone::parse(b"+4915112345617").unwrap();
        ways.deliver(DeliveryTicket(ticket), &phone, &Otp::parse(b"012345").unwrap(), now);
    }

    const NOW: Instant = Instant::from_millis(1_000);

    fn failed() -> DeliveryError {
        DeliveryError::Failed("no".into())
    }

    #[test]
    fn a_code_takes_the_second_way_when_the_first_fails() {
        let (mut ways, first, second) = two();
        let ticket = DeliveryTicket(1);
        deliver(&mut ways, 1, NOW);
        assert_eq!((first.came(), second.came()), (vec![1], vec![]));
        assert_eq!(ways.ended((0, ticket, Err(failed())), NOW), None);
        assert_eq!((first.came(), second.came()), (vec![], vec![1]));
        assert_eq!(ways.ended((1, ticket, Ok(())), NOW), Some((ticket, Ok(()))));
        // What was told of is forgotten.
        assert_eq!(ways.ended((1, ticket, Ok(())), NOW), None);
        assert!(ways.under_way.is_empty());
    }

    #[test]
    fn a_code_that_may_have_gone_out_on_the_first_way_may_have_gone_out() {
        for (one, two, end) in [
            (DeliveryError::TimedOut, failed(), DeliveryError::TimedOut),
            (failed(), DeliveryError::TimedOut, DeliveryError::TimedOut),
            (DeliveryError::Busy, failed(), failed()),
        ] {
            let (mut ways, ..) = self::two();
            let ticket = DeliveryTicket(1);
            deliver(&mut ways, 1, NOW);
            assert_eq!(ways.ended((0, ticket, Err(one)), NOW), None);
            assert_eq!(ways.ended((1, ticket, Err(two)), NOW), Some((ticket, Err(end))));
        }
    }

    #[test]
    fn a_way_that_rests_is_left_out_and_when_all_rest_no_code_goes_out() {
        let (mut ways, first, second) = two();
        for ticket in 1..=5 {
            assert_eq!(ways.rest_until(NOW), None);
            deliver(&mut ways, ticket, NOW);
            assert_eq!(ways.ended((0, DeliveryTicket(ticket), Err(failed())), NOW), None);
            if ticket > 1 {
                ways.ended((1, DeliveryTicket(ticket), Ok(())), NOW);
            }
        }
        assert_eq!((first.came().len(), second.came().len()), (5, 5));
        deliver(&mut ways, 6, NOW);
        assert_eq!((first.came(), second.came()), (vec![], vec![6]));
        for ticket in [6, 7, 8, 9, 10] {
            if ticket > 6 {
                deliver(&mut ways, ticket, NOW);
            }
            assert!(ways.ended((1, DeliveryTicket(ticket), Err(failed())), NOW).is_some());
        }
        let until = NOW.after(Breaker::REST);
        assert_eq!(ways.rest_until(NOW), Some(until));
        let left = Duration::from_secs(10);
        let fail = |ago, rests| {
            ["webhook", "exec"].map(|way| Some(Failing { way, failures: 5, ago, rests }))
        };
        let ago = Breaker::REST - left;
        assert_eq!(ways.failing(NOW.after(ago)), fail(ago, Some(left)));
        // Nobody has seen since then that it works.
        assert_eq!(ways.failing(until), fail(Breaker::REST, None));
        assert_eq!(ways.rest_until(until), None);
        // One that was made before tries the first way, and goes no further.
        first.came();
        deliver(&mut ways, 11, NOW);
        assert_eq!((first.came(), second.came().contains(&11)), (vec![11], false));
        let end = (DeliveryTicket(11), Err(failed()));
        assert_eq!(ways.ended((0, DeliveryTicket(11), Err(failed())), NOW), Some(end));
    }

    #[test]
    fn a_way_with_too_much_to_do_or_the_phone_of_a_stranger_lets_no_way_rest() {
        let (mut ways, ..) = two();
        for error in [DeliveryError::Busy, DeliveryError::Refused("no such phone".into())] {
            for ticket in 1..=10 {
                deliver(&mut ways, ticket, NOW);
                for way in [0, 1] {
                    ways.ended((way, DeliveryTicket(ticket), Err(error.clone())), NOW);
                }
            }
        }
        assert_eq!(ways.rest_until(NOW), None);
    }

    #[test]
    fn a_test_takes_its_own_way_even_if_it_rests_and_no_other() {
        let (mut ways, first, second) = two();
        let mut tests = TestCodes::default();
        let (answer, answers) = std::sync::mpsc::channel();
        let phone = Phone::parse(b"+4915112345617").unwrap();
        let code = Otp::parse(b"012345").unwrap();
        for round in 0..20 {
            let number = round % 2;
            tests.begin(&mut ways, (&phone, &code), number, answer.clone(), NOW);
            let came = [&first, &second].map(Fake::came);
            assert_eq!((came[number].len(), came[1 - number].len()), (1, 0));
            let ticket = DeliveryTicket(came[number][0]);
            let later = NOW.after(Duration::from_millis(7));
            let (ticket, result) = ways.ended((number, ticket, Err(failed())), later).unwrap();
            assert!(tests.ended(ticket, &result, later));
            let end = answers.try_recv().unwrap().unwrap();
            let way = ["webhook", "exec"][number];
            let took = Duration::from_millis(7);
            assert_eq!(end, TestEnd { way, took, result: Err(failed()) });
        }
        assert!(ways.rest_until(NOW).is_some());
        tests.begin(&mut ways, (&phone, &code), 2, answer, NOW);
        assert_eq!(answers.try_recv().unwrap(), Err(TestRefused::NoSuchWay));
        assert!(!tests.ended(DeliveryTicket(1), &Ok(()), NOW));
    }

    /// So many tests in a row, a second apart, until one is refused: for how long.
    fn tests_until_refused(
        tests: &mut TestCodes,
        end: &Result<(), DeliveryError>,
    ) -> (u64, Duration) {
        let (mut ways, first, _) = two();
        let (answer, answers) = std::sync::mpsc::channel();
        let phone = Phone::parse(b"+4915112345617").unwrap();
        let code = Otp::parse(b"012345").unwrap();
        for round in 0.. {
            let now = NOW.after(Duration::from_secs(round));
            tests.begin(&mut ways, (&phone, &code), 0, answer.clone(), now);
            if let Ok(Err(TestRefused::TooOften(wait))) = answers.try_recv() {
                return (round, wait);
            }
            let ticket = DeliveryTicket(first.came()[0]);
            let (ticket, result) = ways.ended((0, ticket, end.clone()), now).unwrap();
            tests.ended(ticket, &result, now);
            answers.try_recv().unwrap().unwrap();
        }
        unreachable!()
    }

    #[test]
    fn tests_that_cost_money_are_few_and_those_that_fail_are_more() {
        let seconds = Duration::from_secs;
        let mut tests = TestCodes::default();
        assert_eq!(tests_until_refused(&mut tests, &Err(failed())), (60, seconds(540)));
        for end in [Ok(()), Err(DeliveryError::TimedOut)] {
            let mut tests = TestCodes::default();
            assert_eq!(tests_until_refused(&mut tests, &end), (10, seconds(590)));
        }
    }

    #[test]
    fn what_is_under_way_when_other_ways_come_arrives_or_goes_one_of_them() {
        let (mut ways, first, _) = two();
        for ticket in 1..=6 {
            deliver(&mut ways, ticket, NOW);
        }
        let (next, other, _) = two();
        ways.give_way_to(next);
        assert_eq!(
            ways.ended((0, DeliveryTicket(1), Ok(())), NOW),
            Some((DeliveryTicket(1), Ok(())))
        );
        for ticket in 2..=6 {
            assert_eq!(ways.ended((0, DeliveryTicket(ticket), Err(failed())), NOW), None);
        }
        assert_eq!((first.came().len(), other.came()), (6, vec![2, 3, 4, 5, 6]));
        // These failures are not theirs.
        deliver(&mut ways, 7, NOW);
        assert_eq!(other.came(), [7]);
    }

    #[test]
    fn a_test_that_is_under_way_when_others_come_is_told_with_the_way_that_it_took() {
        let (mut ways, first, _) = two();
        let mut tests = TestCodes::default();
        let (answer, answers) = std::sync::mpsc::channel();
        let phone = Phone::parse(b"+4915112345617").unwrap();
        let code = Otp::parse(b"012345").unwrap();
        tests.begin(&mut ways, (&phone, &code), 0, answer, NOW);
        let mut next = Ways::default();
        next.add("console", Box::new(Fake::default()));
        ways.give_way_to(next);
        let report = (0, DeliveryTicket(first.came()[0]), Ok(()));
        let (ticket, result) = ways.ended(report, NOW).unwrap();
        assert!(tests.ended(ticket, &result, NOW));
        assert_eq!(answers.try_recv().unwrap().unwrap().way, "webhook");
    }

    #[test]
    fn ways_before_codes_went_in_band_are_tested_no_more_hold_nothing_back_and_take_earlier_codes()
    {
        let (mut ways, first, _) = two();
        for ticket in 1..=5 {
            deliver(&mut ways, ticket, NOW);
            ways.ended((0, DeliveryTicket(ticket), Err(failed())), NOW);
            ways.ended((1, DeliveryTicket(ticket), Err(failed())), NOW);
        }
        assert!(ways.rest_until(NOW).is_some());
        first.came();
        ways.give_way_to(Ways::default());
        assert_eq!((ways.rest_until(NOW), ways.failing(NOW)), (None, [None; 2]));
        let (answer, answers) = std::sync::mpsc::channel();
        let phone = Phone::parse(b"+4915112345617").unwrap();
        let code = Otp::parse(b"012345").unwrap();
        TestCodes::default().begin(&mut ways, (&phone, &code), 0, answer, NOW);
        assert_eq!(answers.try_recv().unwrap(), Err(TestRefused::NoSuchWay));
        deliver(&mut ways, 6, NOW);
        assert_eq!(first.came(), [6]);
        // Others that come later are tested, and have no failures.
        let (next, other, _) = two();
        ways.give_way_to(next);
        assert_eq!((ways.name(0), ways.failing(NOW)), (Some("webhook"), [None; 2]));
        deliver(&mut ways, 7, NOW);
        assert_eq!(other.came(), [7]);
    }

    #[test]
    fn codes_in_band_take_no_way() {
        let mut ways = Ways::default();
        deliver(&mut ways, 1, NOW);
        assert!(ways.under_way.is_empty());
        assert_eq!(ways.rest_until(NOW), None);
    }
}
