//! The numbers of a server as Prometheus reads them. docs/METRICS.md describes each, in the words that
//! stand here.
//!
//! No user, phone, address or id of a letter is ever a label, and the values of each label are a fixed
//! set, so the page has the same lines whatever happens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use waxwing_core::server::{DeliveryTimes, Fullness, Report};
use waxwing_core::time::UnixTime;

use super::health::Health;
use super::reports::Loop;
use super::running::Running;
use super::standby::StandingBy;
use crate::backup;
use crate::canary::{self, Stage};
use crate::histogram::{Histogram, Times};
use crate::logging;
use crate::runtime::{BanCounts, EventCounts, ShardReport, Standing};
use crate::store::Commits;

pub use prometheus_text::CONTENT_TYPE;

/// The page of a running server.
#[must_use]
pub fn page(running: &Running) -> String {
    let (loops, is_drained) = (running.loops(), running.is_drained());
    let commits = running.storage.commits();
    let numbers = Numbers {
        is_ready: Health::ready(&loops, commits.trouble.is_some(), is_drained).healthy,
        is_drained,
        can_note_acts: running.files.found().audit_problem.is_none(),
        key_change_fails: running.rotation.keys().trouble.is_some(),
        loops,
        commits,
        backups: running.backups.state(),
        canary: running.canary.state(),
        canary_every: running.canary.every(),
        started_s: running.since.as_seconds(),
        configuration: running.configuration.standing(),
        log_lines_lost: logging::lost(),
        is_shared: running.configuration.runs().storage.is_shared(),
    };
    written(numbers)
}

/// The page of a server that stands by, which has no other numbers.
pub(super) fn standby_page(standby: &StandingBy) -> String {
    written(StandsBy { has_other_key: standby.other_key().is_some() })
}

fn written(numbers: impl Collector) -> String {
    let mut registry = Registry::with_prefix("waxwing");
    registry.register_collector(Box::new(numbers));
    let mut text = String::new();
    // Text in memory takes whatever is written.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct StandsBy {
    has_other_key: bool,
}

impl Collector for StandsBy {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        page.build_and_role("standby")?;
        page.ready(false)?;
        page.key_change_failing(self.has_other_key)
    }
}

/// All numbers of a server at a moment.
#[derive(Debug)]
struct Numbers {
    loops: Arc<[Loop]>,
    is_ready: bool,
    is_drained: bool,
    can_note_acts: bool,
    key_change_fails: bool,
    commits: Commits,
    backups: backup::State,
    canary: canary::State,
    canary_every: Option<Duration>,
    started_s: i64,
    configuration: Standing,
    log_lines_lost: u64,
    /// Whether other servers use its database, too.
    is_shared: bool,
}

impl Numbers {
    fn reports(&self) -> impl Iterator<Item = &ShardReport> {
        self.loops.iter().filter_map(|one| one.last.as_ref())
    }

    fn sum(&self, of: impl Fn(&Report) -> u64) -> u64 {
        self.reports().map(|report| of(&report.machine)).sum()
    }

    fn events(&self, of: impl Fn(&EventCounts) -> u64) -> u64 {
        self.reports().map(|report| of(&report.events)).sum()
    }

    /// The sum of what has a name, name by name.
    fn named<I: Iterator<Item = (&'static str, u64)>>(
        &self,
        of: impl Fn(&EventCounts) -> I,
    ) -> Vec<(&'static str, u64)> {
        let mut all: Vec<(&'static str, u64)> = Vec::new();
        let none = EventCounts::default();
        // A loop that has never answered leaves the names.
        for events in self.reports().map(|report| report.events).chain([none]) {
            for (at, (name, count)) in of(&events).enumerate() {
                match all.get_mut(at) {
                    Some((_, sum)) => *sum += count,
                    None => all.push((name, count)),
                }
            }
        }
        all
    }

    fn turns(&self) -> Times {
        let mut all = Times::default();
        self.reports().for_each(|report| all.add(&report.turns));
        all
    }
}

impl Collector for Numbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.server(&mut page)?;
        self.people(&mut page)?;
        self.letters(&mut page)?;
        self.registration(&mut page)?;
        self.refusals(&mut page)?;
        self.storage(&mut page)?;
        self.canary(&mut page)
    }
}

impl Numbers {
    fn server(&self, page: &mut Page<'_>) -> fmt::Result {
        let answer = self.loops.iter().filter(|one| one.answers).count();
        let hang = self.loops.len() - answer;
        page.build_and_role("primary")?;
        page.gauge(
            "process_start_time_seconds",
            "When the server began to serve, in seconds since 1970.",
            self.started_s,
        )?;
        page.ready(self.is_ready)?;
        page.gauge(
            "draining",
            "1 while all sessions are sent away before a stop, else 0.",
            u64::from(self.is_drained),
        )?;
        page.gauge(
            "audit_log_writable",
            "1 if what operators do can be noted, as far as that can be seen, else 0.",
            u64::from(self.can_note_acts),
        )?;
        page.key_change_failing(self.key_change_fails)?;
        let Standing { successes, failures, failed, waiting, .. } = &self.configuration;
        page.counters(
            "reloads",
            "How often the configuration was read again.",
            "result",
            [("taken", *successes), ("refused", *failures)],
        )?;
        page.gauge(
            "reload_failing",
            "1 if the configuration could not be read again the last time, else 0.",
            u64::from(failed.is_some()),
        )?;
        page.gauge(
            "settings_waiting",
            "Settings whose new values wait for a restart.",
            waiting.len() as u64,
        )?;
        page.counter(
            "log_lines_lost",
            "Lines of the log that could not be written.",
            self.log_lines_lost,
        )?;
        page.counter(
            "internal_errors",
            "Packets that could not be made. That is a fault of the server: report it.",
            self.events(|events| events.internal_errors),
        )?;
        page.gauges(
            "loops",
            "Event loops that answer within 1.5 seconds, and those that hang.",
            "state",
            [("answers", answer as u64), ("hangs", hang as u64)],
        )?;
        page.histogram(
            "turn_seconds",
            "How long the turns of the event loops took.",
            &Classes::of_times(&self.turns()),
        )?;
        page.counters(
            "private_operations",
            "Operations with the private key of the server.",
            "kind",
            [
                ("open", self.sum(|report| report.private_operations.opened)),
                ("sign", self.sum(|report| report.private_operations.signed)),
            ],
        )
    }

    fn people(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "connections",
            "Connections that are open, with and without a session.",
            self.sum(|report| report.connections as u64),
        )?;
        page.counters(
            "connection_ends",
            "Connections that ended, by what ended them.",
            "reason",
            self.named(EventCounts::connections_ended),
        )?;
        page.gauge(
            "half_received_bytes",
            "Bytes of packets that have not come as a whole, or wait for their turn.",
            self.sum(|report| report.half_received_bytes as u64),
        )?;
        page.counter(
            "shed",
            "Connections that were closed because these bytes were more than limits.half_received.",
            self.events(|events| events.shed),
        )?;
        page.gauge(
            "sessions",
            "Sessions that are confirmed.",
            self.sum(|report| report.sessions as u64),
        )?;
        page.counter(
            "sessions_begun",
            "Sessions that were confirmed.",
            self.events(|events| events.sessions_begun),
        )?;
        page.counters(
            "session_ends",
            "Sessions that ended.",
            "reason",
            self.named(EventCounts::sessions_ended),
        )?;
        page.counter(
            "timeouts",
            "Connections that were closed because they took too long.",
            self.events(|events| events.timed_out),
        )?;
        page.counter(
            "replayed_reconnects",
            "Recorded requests to reconnect that were played back and refused.",
            self.events(|events| events.replayed),
        )?;
        page.gauge("users", "Users who are registered.", self.sum(|report| report.users as u64))?;
        page.gauge(
            "users_suspended",
            "Users of these whom the operator keeps out.",
            self.sum(|report| report.suspended as u64),
        )?;
        let free = self.reports().find_map(|report| report.machine.free_ids);
        page.gauge("ids_free", "Ids that new users can get.", free.unwrap_or_default() as u64)
    }

    fn letters(&self, page: &mut Page<'_>) -> fmt::Result {
        page.counters(
            "letters",
            "Letters, by what became of them.",
            "way",
            [
                ("submitted", self.sum(|report| report.handed_in.submitted)),
                ("repeated", self.sum(|report| report.handed_in.repeated)),
                ("refused", self.sum(|report| report.handed_in.refused)),
                ("stored", self.sum(|report| report.outcomes.stored)),
                ("forwarded", self.sum(|report| report.outcomes.forwarded)),
                ("delivered", self.sum(|report| report.outcomes.delivered)),
                ("expired", self.sum(|report| report.outcomes.expired)),
            ],
        )?;
        page.counter(
            "expired",
            "Letters that lay for longer than letters.life.",
            self.events(|events| events.expired),
        )?;
        page.gauge(
            "pending_letters",
            "Letters that are accepted and neither delivered nor expired.",
            self.sum(|report| report.pending_letters),
        )?;
        page.gauge(
            "pending_bytes",
            "Bytes of the packets of these letters.",
            self.sum(|report| report.pending_bytes),
        )?;
        let all = |of: fn(&Report) -> Fullness| {
            let of = || self.reports().map(|report| of(&report.machine));
            let fullest = of().map(|one| one.fullest_percent).max().unwrap_or_default();
            (f64::from(fullest) / 100.0, of().map(|one| one.nearly_full as u64).sum::<u64>())
        };
        let kinds = [
            ("mailbox", all(|report| report.mailboxes)),
            ("pair", all(|report| report.pairs)),
            ("sender", all(|report| report.senders)),
        ];
        page.gauges(
            "fullest_ratio",
            "How full the fullest is, from 0 to 1 of what it may hold; 0 if none is half full.",
            "of",
            kinds.map(|(name, (fullest, _))| (name, fullest)),
        )?;
        page.gauges(
            "nearly_full",
            "How many are at least four fifths full.",
            "of",
            kinds.map(|(name, (_, nearly_full))| (name, nearly_full)),
        )?;
        let times = self.reports().map(|report| report.machine.outcomes.times);
        page.histogram(
            "delivery_seconds",
            "How long letters took from acceptance to acknowledgment, to a second.",
            &Classes::of_deliveries(times),
        )
    }

    fn registration(&self, page: &mut Page<'_>) -> fmt::Result {
        page.counter(
            "registrations",
            "Users who have registered.",
            self.events(|events| events.registered),
        )?;
        let in_band = self.sum(|report| report.codes.in_band);
        page.counters(
            "codes",
            "One-time passwords, by what became of them.",
            "result",
            [
                ("sent", in_band + self.events(|events| events.codes_sent)),
                ("not_sent", self.events(|events| events.codes_not_sent)),
                ("unknown", self.events(|events| events.codes_lost)),
                ("held_back", self.sum(|report| report.codes.held_back)),
                ("used", self.sum(|report| report.codes.used)),
                ("wrong", self.sum(|report| report.codes.wrong)),
            ],
        )?;
        page.counter(
            "wrong_codes_spent",
            "How often limits.wrong_codes_per_day was used up: somebody may have guessed codes.",
            self.events(|events| events.guessing_suspected),
        )?;
        let left = self.reports().find_map(|report| report.machine.codes_left);
        page.gauge(
            "codes_left",
            "One-time passwords that can still go out today.",
            u64::from(left.unwrap_or_default()),
        )
    }

    fn refusals(&self, page: &mut Page<'_>) -> fmt::Result {
        page.counters(
            "refused",
            "Packets that were refused.",
            "code",
            self.named(EventCounts::refused),
        )?;
        page.counter(
            "proxy_connections_refused",
            "Connections of proxies that were closed because it was not said whose they are.",
            self.events(|events| events.not_introduced),
        )?;
        let connections =
            ("connections_per_prefix", self.events(|events| events.connections_refused));
        let banned = ("ban", self.events(|events| events.banned));
        page.counters(
            "limited",
            "How often a limit of the configuration was reached.",
            "limit",
            self.named(EventCounts::limited).into_iter().chain([connections, banned]),
        )?;
        // Each loop knows all of them.
        let most = |of: fn(BanCounts) -> usize| {
            self.reports().map(|report| of(report.bans)).max().unwrap_or_default() as u64
        };
        page.gauges(
            "bans",
            "Ranges of addresses from which nobody is served.",
            "kind",
            [
                ("operator", most(|bans| bans.by_operator)),
                ("automatic", most(|bans| bans.automatic)),
            ],
        )
    }

    fn storage(&self, page: &mut Page<'_>) -> fmt::Result {
        let up = self.commits.trouble.is_none()
            && self.reports().all(|report| !report.machine.storage_is_in_trouble);
        page.gauge("storage_up", "1 if storage has taken the last write, else 0.", u64::from(up))?;
        page.gauge(
            "storage_shared",
            "1 if several servers share the database (`storage.url`), else 0.",
            u64::from(self.is_shared),
        )?;
        page.counter(
            "storage_failures",
            "Batches of writes that storage did not take.",
            self.events(|events| events.storage_failures),
        )?;
        page.gauge(
            "unsettled_batches",
            "Batches of writes that storage is yet to carry out.",
            self.sum(|report| report.unsettled_batches as u64),
        )?;
        let oldest = self.reports().filter_map(|report| report.machine.oldest_unsettled).max();
        page.gauge(
            "oldest_unsettled_seconds",
            "How long the oldest of them has waited.",
            oldest.unwrap_or_default().as_secs_f64(),
        )?;
        page.histogram(
            "commit_seconds",
            "How long commits took.",
            &Classes::of_times(&self.commits.times),
        )?;
        page.histogram(
            "group_letters",
            "How many new letters of people were in a commit.",
            &Classes::of(&self.commits.letters, 1.0),
        )?;
        // Loops hear of it one after the other: the smallest is on the safe side.
        // A shared database has a disk of its own, of which the server knows nothing.
        if let Some(free) = self.reports().filter_map(|report| report.free_disk).min() {
            page.gauge("disk_free_bytes", "Bytes that new letters may still take up.", free)?;
        }
        page.gauge(
            "backup_verified_timestamp_seconds",
            "When the newest backup was made that was read back without an error, in seconds since 1970; 0 \
             if there is none.",
            self.backups.verified.map_or(0, UnixTime::as_seconds),
        )?;
        page.gauge(
            "backup_begun_timestamp_seconds",
            "When the backup was begun that is being made, in seconds since 1970; 0 if none is.",
            self.backups.begun.map_or(0, UnixTime::as_seconds),
        )?;
        page.gauge(
            "backup_directory_usable",
            "0 if nothing can be put into the directory of backups (`backup.directory`), else 1.",
            u64::from(self.backups.unusable.is_none()),
        )?;
        page.counter(
            "backup_failures",
            "Backups that were begun, or were due, and not made.",
            self.backups.failures,
        )
    }
}

impl Numbers {
    fn canary(&self, page: &mut Page<'_>) -> fmt::Result {
        let canary::State { succeeded, times, done, skipped, failures, trouble: _ } = &self.canary;
        let names = || Stage::ALL.into_iter().map(Stage::name);
        page.gauge(
            "canary_every_seconds",
            "How often the server is to write a letter to itself (`canary.every`); 0 for never.",
            self.canary_every.unwrap_or_default().as_secs_f64(),
        )?;
        page.gauges(
            "canary_seconds",
            "How long the stages of the last letter took that the server wrote to itself and that arrived.",
            "stage",
            names().zip(times.iter().map(Duration::as_secs_f64)),
        )?;
        page.gauge(
            "canary_success_timestamp_seconds",
            "When the last of these letters arrived, in seconds since 1970; 0 if none has.",
            succeeded.map_or(0, UnixTime::as_seconds),
        )?;
        page.counters(
            "canary_rounds",
            "Letters that the server wrote to itself.",
            "result",
            [("done", *done), ("failed", failures.iter().sum()), ("skipped", *skipped)],
        )?;
        page.counters(
            "canary_failures",
            "Letters of these that did not arrive, by the stage that was not reached.",
            "stage",
            names().zip(failures.iter().copied()),
        )
    }
}

/// A histogram as it is written: upper ends and counts. The last class has no end.
struct Classes {
    buckets: Vec<(f64, u64)>,
    sum: f64,
}

impl Classes {
    fn of<const FIRST: u64, const CLASSES: usize>(
        histogram: &Histogram<FIRST, CLASSES>,
        in_one: f64,
    ) -> Self {
        let end = |class| Histogram::<FIRST, CLASSES>::end_of(class) as f64 / in_one;
        let ends = (0..CLASSES - 1).map(end).chain([f64::INFINITY]);
        let buckets = ends.zip(histogram.counts().iter().copied()).collect();
        Self { buckets, sum: histogram.sum() as f64 / in_one }
    }

    fn of_times(times: &Times) -> Self {
        // They are in microseconds, and Prometheus wants seconds.
        Self::of(times, 1_000_000.0)
    }

    fn of_deliveries(all: impl Iterator<Item = DeliveryTimes>) -> Self {
        let ends = DeliveryTimes::ENDS.map(|end| end as f64).into_iter().chain([f64::INFINITY]);
        let mut sum = 0.0;
        let mut buckets: Vec<_> = ends.map(|end| (end, 0)).collect();
        for times in all {
            sum += times.sum() as f64;
            for ((_, count), more) in buckets.iter_mut().zip(times.counts()) {
                *count += more;
            }
        }
        Self { buckets, sum }
    }
}

/// Writes metrics.
struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn build_and_role(&mut self, role: &str) -> fmt::Result {
        self.gauges(
            "build_info",
            "The version of the server.",
            "version",
            [(env!("CARGO_PKG_VERSION"), 1)],
        )?;
        let roles = ["primary", "standby"].map(|one| (one, u64::from(one == role)));
        self.gauges("role", "1 for what the server is, else 0.", "role", roles)
    }

    fn ready(&mut self, is_ready: bool) -> fmt::Result {
        let meaning = "1 if the server is ready, as `/readyz` says, else 0.";
        self.gauge("ready", meaning, u64::from(is_ready))
    }

    fn key_change_failing(&mut self, fails: bool) -> fmt::Result {
        let meaning = "1 if a planned key could not take its place although its moment is over, or a \
                       server that stands by has not the key of the one that serves; else 0.";
        self.gauge("key_change_failing", meaning, u64::from(fails))
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'static str, impl EncodeGaugeValue)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, number) in values {
            metric.encode_family(&[(label, value)])?.encode_gauge(&number)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, number) in values {
            let labels = [(label, value)];
            let mut one = metric.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, _, f64>(&number, None)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, classes: &Classes) -> fmt::Result {
        let Classes { buckets, sum } = classes;
        let count = buckets.iter().map(|(_, count)| count).sum();
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
    }
}
