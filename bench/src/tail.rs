//! What people with a session notice of others who come back.

use std::time::Duration;

use anyhow::Result;

use crate::cores::Side;
use crate::findings::{Goal, Run};
use crate::floor::Work;
use crate::load::{Load, Stage};
use crate::population::{self, Clients, Errand};
use crate::scenarios::{Bench, Writing, middle_of_three};

/// How long it is measured what the server can take.
const CAPACITY_SPAN: Duration = Duration::from_secs(3);

impl Bench {
    /// What established sessions of `writing`'s pairs notice of `clients` others who come back,
    /// `pace` a second, while they write half as many letters as the server can take, one by one, on
    /// the cores that it has here. A tail consists of few letters, so this is done three times, and
    /// what counts is the middle. What the server can take is measured each time: half of what it
    /// took on a machine that has become slower since may be more than half.
    pub(crate) fn latency(
        &mut self,
        writing: Writing,
        clients: usize,
        pace: f64,
    ) -> Result<(Vec<Run>, Goal)> {
        self.apart = true;
        let found =
            middle_of_three(|| self.latency_once(writing, clients, pace), |(_, goal)| goal.reached);
        self.apart = false;
        found
    }

    fn latency_once(
        &mut self,
        writing: Writing,
        clients: usize,
        pace: f64,
    ) -> Result<(Vec<Run>, Goal)> {
        let one_by_one = Writing { window: 1, span: writing.span.min(CAPACITY_SPAN), ..writing };
        let half = self.relay_once(one_by_one)?.per_second / 2.0;
        let pairs = population::of(2 * writing.pairs, self.keys);
        let everybody = population::of(2 * writing.pairs + clients, self.keys);
        // A second more than the time, for the storm to end in.
        let each =
            Writing { span: writing.span + Duration::from_secs(1), ..writing }.letters_at(half);
        let stock = self.stock(&pairs, each, writing.payload)?;
        let (mut data, server) = self.start(&everybody, 0, 0)?;
        let cores = self.half(Side::Clients)?;
        // A tail is a few letters, which the yardstick would make wait.
        let stage = Stage { yardstick: None, ..self.stage(&pairs, &stock, &server, &mut data) };
        let load = Load { rate: Some(half), window: 128, together: 1, ..writing.load() };
        let quiet = stage.relay(load, writing.span, |_| Ok(()))?;
        let quiet = self.half_load("at half load, apart").with_load(&quiet, server.memory()?);
        server.stop()?;
        drop(cores);

        let stock = self.stock(&pairs, each, writing.payload)?;
        let (mut data, server) = self.start(&everybody, 0, 0)?;
        let _cores = self.half(Side::Clients)?;
        let storm = &everybody[2 * writing.pairs..];
        let key = data.server_key();
        let mut returning = Clients::new(storm, server.address(), key, Errand::Reconnect)?;
        let stage = Stage { yardstick: None, ..self.stage(&pairs, &stock, &server, &mut data) };
        let mut is_at_pace = false;
        let busy = stage.relay(load, writing.span, |_| {
            is_at_pace = returning.connect_beside_others(pace)?;
            Ok(())
        })?;
        let busy =
            self.half_load("at half load, apart, in a storm").with_load(&busy, server.memory()?);
        drop(returning);
        server.stop()?;

        let p99 = |run: &Run| run.latency.map_or(f64::NAN, |[_, p99, _]| p99);
        // A storm that was slower than its pace shows nothing.
        let reached = if is_at_pace { p99(&busy) / p99(&quiet) } else { f64::INFINITY };
        let goal = Goal::new(
            "p99 at half load, in a storm beside none, middle of three",
            3.0,
            reached,
            "times",
        );
        Ok((vec![quiet, busy], goal))
    }

    fn half_load(&self, name: &str) -> Run {
        Run::new(format!("relay {name}"), &self.floor, Work::V, None)
    }
}
