//! How time goes on in a simulated world.

use std::time::Duration;

use crate::person::Person;
use crate::timeline::{Event, Timeline};

/// Until everything has come right, once nothing goes wrong any more.
pub(crate) const PATIENCE: Duration = Duration::from_mins(30);
/// Between two looks at letters that have to wait.
const HURRY: Duration = Duration::from_secs(5);
/// Events between two looks at whether something has come true.
const LOOK: u32 = 8;

pub(crate) trait World {
    /// Carries out the next event.
    fn step(&mut self) -> Event;

    fn time(&mut self) -> &mut Timeline;

    fn people(&mut self) -> (&mut [Person], &mut Timeline);

    /// What stands where, for whoever looks at a seed that has failed.
    fn report(&self) -> String;

    fn wait_for_an_act(&mut self) {
        let at = self.time().soon(400_000);
        self.time().schedule(at, Event::Act);
        while self.step() != Event::Act {}
    }

    /// Goes on until something is true, for so long at most. Now and then everybody looks what can be
    /// tried again.
    fn until(&mut self, span: Duration, what: &str, is_true: impl Fn(&Self) -> bool) {
        let now = self.time().now().instant;
        let by = now.after(span);
        let mut events = 0_u32;
        self.time().schedule(by.min(now.after(HURRY)), Event::Act);
        // To look takes longer than an event.
        while !events.is_multiple_of(LOOK) || !is_true(self) {
            events += 1;
            if self.step() != Event::Act {
                continue;
            }
            let now = self.time().now().instant;
            assert!(now < by, "not after {span:?}: {what}\n{}", self.report());
            self.hurry();
            self.time().schedule(by.min(now.after(HURRY)), Event::Act);
        }
    }

    /// Time passes.
    fn pass(&mut self, span: Duration) {
        let by = self.time().now().instant.after(span);
        self.time().schedule(by, Event::Act);
        while self.step() != Event::Act || self.time().now().instant < by {}
    }

    /// Nobody waits for a later attempt.
    fn hurry(&mut self) {
        let (people, time) = self.people();
        for person in people {
            if let Some(stored) = person.client.profile.from_another_process() {
                stored.hurry();
            }
            person.wake(time);
        }
    }
}
