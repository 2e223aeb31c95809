//! `status`: how the server is.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waxwing_core::server::{self, Report};
use waxwing_core::time::UnixTime;

use super::super::control::{Answer, Connection};
use super::super::files::Found;
use super::super::protocol::{self, Asked, Request, item};
use super::super::running::{Interrupted, Running};
use super::super::standby::StandingBy;
use super::key::Keys;
use super::log::Level;
use super::{Paper, reach};
use crate::backup::{self, Backups, State};
use crate::canary;
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::otp::Failing;
use crate::runtime::{ShardReport, Standing};
use crate::{logging, stderr, store};

/// How the server is, as the operator reads of it. Sums leave out the loops that do not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Status {
    version: String,
    role: String,
    pid: u32,
    /// When it began to serve or to stand by, in UTC.
    since: String,
    uptime_ms: u64,
    listening: Vec<String>,
    /// When it stops at the latest, because all sessions are sent away, in UTC; nothing if nobody has said so.
    drained_by: Option<String>,
    /// Whether it stops. Its loops have ended, and it waits for what must not be cut short.
    #[serde(default)]
    stops: bool,
    loops: Vec<Loop>,
    connections: u64,
    sessions: u64,
    users: u64,
    /// Ids that new users can get.
    free_ids: Option<u64>,
    /// One-time passwords that can still go out today.
    codes_left: Option<u64>,
    /// Ways on which the last code did not get through.
    failing_ways: Vec<FailingWay>,
    pending_letters: u64,
    pending_bytes: u64,
    room: Room,
    storage: Storage,
    backup: Backup,
    canary: Canary,
    /// Why acts of operators cannot be noted, and so are refused; nothing if they can.
    audit_problem: Option<String>,
    configuration: Configuration,
    log: Log,
    key: Keys,
}

/// A way of one-time passwords on which the last one did not get through.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct FailingWay {
    way: String,
    /// So many in a row did not.
    failures: u32,
    /// The last of them did not so long ago.
    #[serde(default)]
    ago_ms: u64,
    /// It is left alone for so long; nothing if the next code tries it.
    next_try_ms: Option<u64>,
}

impl FailingWay {
    fn of(Failing { way, failures, ago, rests }: Failing) -> Self {
        Self { way: way.into(), failures, ago_ms: ms(ago), next_try_ms: rests.map(ms) }
    }

    fn line(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { way, failures, ago_ms, next_try_ms } = self;
        let last = match failures {
            1 => "THE LAST ONE".to_owned(),
            several => format!("THE LAST {several}"),
        };
        let next = next_try_ms.map_or_else(
            || "the next code tries it again".to_owned(),
            |next| format!("it is tried again in {}", figures::span(next)),
        );
        let ago = figures::span(*ago_ms);
        writeln!(
            out,
            "             {last} DID NOT GET THROUGH by {way}, {ago} ago; the log says why; {next}"
        )
    }
}

/// What is worth knowing of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Log {
    /// What `log level` has set.
    asked: Option<Level>,
    /// Nothing for standard error.
    file: Option<String>,
    /// Lines that could not be written since the start.
    lost_lines: u64,
    /// Why the last line could not be written to the file.
    trouble: Option<String>,
    /// Why the file could not be opened again.
    not_reopened: Option<String>,
    /// One of the two was seen last so many seconds ago.
    #[serde(default)]
    seen_s_ago: Option<u64>,
}

impl Log {
    fn of(standing: logging::Standing) -> Self {
        let logging::Standing { asked, file, lost, trouble, not_reopened, seen } = standing;
        Self {
            asked: asked.as_ref().map(Level::of),
            file: file.map(|file| file.display().to_string()),
            lost_lines: lost,
            trouble,
            not_reopened,
            seen_s_ago: seen.map(|seen| seen.as_secs()),
        }
    }

    fn lines(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { asked, file, lost_lines, trouble, not_reopened, seen_s_ago } = self;
        let ago = ago(*seen_s_ago);
        const REOPEN: &str = "put that right, then run `waxwing-server log reopen`";
        let place = file.as_deref().unwrap_or("standard error");
        let asked = asked.as_ref().map(|level| format!("; level {}", level.words()));
        writeln!(out, "log          to {place}{}", asked.unwrap_or_default())?;
        match (file, trouble) {
            (Some(_), Some(why)) => writeln!(
                out,
                "             LINES ARE LOST, BECAUSE THAT FILE CANNOT BE WRITTEN: {why}{ago}; {REOPEN}"
            )?,
            (None, Some(why)) => writeln!(
                out,
                "             AND NOT TO ITS FILE, WHICH CANNOT BE OPENED: {why}{ago}; {REOPEN}"
            )?,
            (_, None) => {}
        }
        if let Some(why) = not_reopened {
            writeln!(
                out,
                "             TO THE FILE THAT WAS OPENED BEFORE, WHEREVER THAT IS NOW, BECAUSE IT CANNOT BE OPENED \
                 AGAIN: {why}{ago}; {REOPEN}"
            )?;
        }
        if *lost_lines > 0 {
            let lines = figures::count(*lost_lines, "LINE IS", "LINES ARE");
            writeln!(out, "             {lines} LOST")?;
        }
        Ok(())
    }
}

/// What has become of `reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Configuration {
    /// When it was last read again, in UTC; nothing since the start.
    reloaded: Option<String>,
    /// When it could not be read again, if that was the last attempt; and why.
    failed: Option<String>,
    failure: Option<String>,
    /// Settings whose values wait for a restart.
    waiting: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Loop {
    number: u16,
    /// Whether it has answered in time.
    answers: bool,
    /// What 99 of 100 turns of the last minutes took at most, to a factor of two.
    turn_p99_us: Option<u64>,
    connections: u64,
    sessions: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Storage {
    /// Whether it has taken the last write.
    works: bool,
    /// Why it has not.
    trouble: Option<String>,
    /// Batches that it has and has not carried out.
    unsettled_batches: u64,
    oldest_unsettled_ms: Option<u64>,
    open_questions: u64,
    commits: Commits,
    /// Bytes that new letters may still take up.
    free_disk_bytes: Option<u64>,
    /// So little is free that letters for absent recipients are refused.
    disk_is_low: bool,
}

/// How full what holds so much and no more is, of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Room {
    mailboxes: Fullness,
    /// What one sender may have in one mailbox.
    pairs: Fullness,
    /// What one sender may have in all mailboxes.
    senders: Fullness,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Fullness {
    /// 0 if none is half full.
    fullest_percent: u8,
    /// How many are at least four fifths full.
    nearly_full: u64,
}

/// The commits since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Commits {
    count: u64,
    /// New letters in all of them.
    letters: u64,
    /// What 99 of 100 took at most, to a factor of two.
    p99_us: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Backup {
    /// Whether the server makes backups by itself.
    scheduled: bool,
    /// When the newest was made that was read back without an error, in UTC.
    verified: Option<String>,
    /// So many seconds ago.
    #[serde(default)]
    verified_s_ago: Option<u64>,
    /// When the one was begun that is being made, in UTC.
    #[serde(default)]
    begun: Option<String>,
    /// For so many seconds it is being made.
    #[serde(default)]
    lasts_s: Option<u64>,
    /// Why none can be put into the directory of backups.
    unusable: Option<String>,
    /// That was seen so many seconds ago.
    #[serde(default)]
    looked_s_ago: Option<u64>,
    /// Why the last one by the clock was not made; nothing as soon as any was made.
    trouble: Option<Trouble>,
    /// The same of the last one that an operator wanted.
    trouble_by_hand: Option<Trouble>,
}

/// A backup was not made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Trouble {
    /// When it was to be made, in UTC.
    at: String,
    why: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Canary {
    /// How often the server writes a letter to itself; nothing if it does not.
    every_ms: Option<u64>,
    /// When the last one arrived, in UTC.
    succeeded: Option<String>,
    /// How long it took.
    took_us: u64,
    /// Since when letters do not arrive, in UTC.
    fails_since: Option<String>,
    /// The stage at which the last one failed, and why.
    fails_at: Option<String>,
    why: Option<String>,
    /// The last one failed so many seconds ago.
    #[serde(default)]
    failed_s_ago: Option<u64>,
}

/// A write that waits for so long is worth a look.
const SLOW: Duration = Duration::from_secs(1);

// ---- In the server ----

pub(super) fn answer(
    running: &Running,
    watch: bool,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    loop {
        item(answer, Status::of(running))?;
        if !watch {
            return Ok(());
        }
        answer.pause(Duration::from_secs(1))?;
    }
}

/// The same of a server that stands by.
pub(super) fn answer_standby(
    standby: &StandingBy,
    watch: bool,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    loop {
        item(answer, Status::of_standby(standby))?;
        if !watch {
            return Ok(());
        }
        answer.pause(Duration::from_secs(1))?;
    }
}

/// What a server is that waits for its turn.
const STANDBY: &str = "standby";

impl Status {
    /// It knows nothing of people and letters.
    fn of_standby(standby: &StandingBy) -> Self {
        let StandingBy { key, since, begun, .. } = standby;
        let other_key = standby.other_key();
        let storage = Storage { trouble: standby.trouble(), ..Storage::default() };
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            role: STANDBY.into(),
            pid: std::process::id(),
            since: clock::written(*since),
            uptime_ms: ms(begun.elapsed()),
            log: Log::of(logging::standing()),
            key: key.map(|own| Keys::of_standby(own, other_key)).unwrap_or_default(),
            storage,
            ..Self::default()
        }
    }

    fn of(running: &Running) -> Self {
        let loops = running.loops();
        let commits = running.storage.commits();
        let Found { audit_problem, previous_key } = running.files.found();
        let reports: Vec<_> = loops.iter().map(|one| one.last.filter(|_| one.answers)).collect();
        let known = || reports.iter().flatten();
        let sum = |of: fn(&Report) -> u64| known().map(|report| of(&report.machine)).sum();
        let numbered = (0..).zip(&reports);
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            role: "primary".into(),
            pid: std::process::id(),
            since: clock::written(running.since),
            uptime_ms: ms(running.started.elapsed()),
            listening: running.listening.iter().map(ToString::to_string).collect(),
            drained_by: running.drained_by().map(clock::written),
            stops: running.backups.are_over(),
            loops: numbered.map(|(number, report)| Loop::of(number, report.as_ref())).collect(),
            connections: sum(|report| report.connections as u64),
            sessions: sum(|report| report.sessions as u64),
            users: sum(|report| report.users as u64),
            free_ids: known().find_map(|report| report.machine.free_ids).map(|ids| ids as u64),
            codes_left: known().find_map(|report| report.machine.codes_left).map(u64::from),
            failing_ways: known()
                .flat_map(|report| report.failing_ways)
                .flatten()
                .map(FailingWay::of)
                .collect(),
            pending_letters: sum(|report| report.pending_letters),
            pending_bytes: sum(|report| report.pending_bytes),
            room: Room::of(known().map(|report| &report.machine)),
            storage: Storage {
                works: commits.trouble.is_none()
                    && known().all(|report| !report.machine.storage_is_in_trouble),
                unsettled_batches: sum(|report| report.unsettled_batches as u64),
                oldest_unsettled_ms: known()
                    .filter_map(|report| report.machine.oldest_unsettled)
                    .max()
                    .map(ms),
                open_questions: sum(|report| report.open_questions as u64),
                commits: Commits::of(&commits),
                trouble: commits.trouble,
                free_disk_bytes: known().find_map(|report| report.free_disk),
                disk_is_low: known().any(|report| report.disk_is_low),
            },
            backup: Backup::of(&running.backups),
            canary: Canary::of(&running.canary),
            audit_problem,
            configuration: Configuration::of(running.configuration.standing()),
            log: Log::of(logging::standing()),
            key: Keys::of(running.rotation.keys_now(), previous_key),
        }
    }

    fn page(out: &mut dyn Write, status: &Self) -> io::Result<()> {
        let Self { version, role, pid, since, uptime_ms, listening, loops, .. } = status;
        let up = figures::span(*uptime_ms);
        writeln!(out, "waxwing-server {version}, {role}, process {pid}")?;
        if role == STANDBY {
            let beside = match &status.storage.trouble {
                None => "another server serves from the database".to_owned(),
                Some(why) => format!("COULD NOT TAKE OVER: {why}"),
            };
            writeln!(out, "stands by    since {since}, {up}; {beside}")?;
            status.log.lines(out)?;
            return Keys::page(out, &status.key);
        }
        writeln!(out, "serves       since {since}, {up}, on {}", listening.join(", "))?;
        if let Some(stops) = &status.drained_by {
            writeln!(
                out,
                "drained      ALL SESSIONS ARE SENT AWAY; the server stops then, at {stops} at the latest"
            )?;
        }
        if status.stops {
            writeln!(
                out,
                "stops        THE SERVER STOPS: its loops have ended, and it waits for what must not be cut short"
            )?;
            return status.backup.lines(out);
        }
        let slowest = loops.iter().filter_map(|one| one.turn_p99_us).max();
        let turns = slowest.map_or_else(
            || "no turn in the last minute".to_owned(),
            |p99| format!("99 of 100 turns take at most {}", span_us(p99)),
        );
        let hanging = status.hanging_loops();
        let count = figures::count(loops.len() as u64, "loop", "loops");
        if hanging.is_empty() {
            writeln!(out, "loops        {count}; {turns}")?;
        } else {
            let which = hanging.join(", ");
            writeln!(out, "loops        {count}; DOES NOT ANSWER: {which}; of the others {turns}")?;
        }
        let connections = figures::count(status.connections, "connection", "connections");
        writeln!(out, "sessions     {} on {connections}", status.sessions)?;
        let free = status.free_ids.map(|ids| format!(", {ids} ids are free"));
        writeln!(out, "users        {}{}", status.users, free.unwrap_or_default())?;
        if let Some(left) = status.codes_left {
            writeln!(out, "codes        {left} can still go out today")?;
        }
        status.failing_ways.iter().try_for_each(|way| way.line(out))?;
        let letters = figures::count(status.pending_letters, "letter", "letters");
        writeln!(out, "pending      {letters}, {}", figures::bytes(status.pending_bytes))?;
        status.room.lines(out)?;
        status.storage.line(out)?;
        status.backup.lines(out)?;
        status.canary.line(out)?;
        if let Some(problem) = &status.audit_problem {
            writeln!(
                out,
                "audit log    CANNOT BE WRITTEN, so what changes something is refused: {problem}"
            )?;
        }
        status.configuration.lines(out)?;
        status.log.lines(out)?;
        Keys::page(out, &status.key)
    }
}

impl Configuration {
    fn of(standing: Standing) -> Self {
        let Standing { taken, failed, waiting, .. } = standing;
        let (failed, failure) = failed.unzip();
        Self {
            reloaded: taken.map(clock::written),
            failed: failed.map(clock::written),
            failure,
            waiting: waiting.into_iter().map(str::to_owned).collect(),
        }
    }

    fn lines(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { reloaded, failed, failure, waiting } = self;
        let since = match reloaded {
            Some(moment) => format!("read again {moment}"),
            None => "as at the start".to_owned(),
        };
        writeln!(out, "settings     {since}")?;
        if let (Some(moment), Some(why)) = (failed, failure) {
            writeln!(out, "             COULD NOT BE READ AGAIN {moment}: {why}")?;
        }
        if !waiting.is_empty() {
            writeln!(out, "             WAIT FOR A RESTART: {}", waiting.join(", "))?;
        }
        Ok(())
    }
}

impl Loop {
    fn of(number: u16, report: Option<&ShardReport>) -> Self {
        Self {
            number,
            answers: report.is_some(),
            turn_p99_us: report
                .and_then(|report| report.turn_p99)
                .map(|p99| u64::try_from(p99.as_micros()).unwrap_or(u64::MAX)),
            connections: report.map_or(0, |report| report.machine.connections as u64),
            sessions: report.map_or(0, |report| report.machine.sessions as u64),
        }
    }
}

impl Storage {
    fn line(&self, out: &mut dyn Write) -> io::Result<()> {
        let state = if self.works { "takes writes" } else { "DOES NOT TAKE WRITES" };
        let oldest = match self.oldest_unsettled_ms {
            None => String::new(),
            Some(age) if u128::from(age) >= SLOW.as_millis() => {
                format!("; THE OLDEST WRITE WAITS FOR {}", figures::span(age))
            }
            Some(age) => format!("; the oldest write waits for {}", figures::span(age)),
        };
        let free = match self.free_disk_bytes {
            _ if self.disk_is_low => {
                "; TOO LITTLE DISK SPACE IS FREE (storage.min_free_disk), SO LETTERS FOR ABSENT RECIPIENTS \
                 ARE REFUSED"
                    .to_owned()
            }
            // What is free inside the database helps nobody then.
            Some(free) if self.works => format!("; there is room for {} more", figures::bytes(free)),
            _ => String::new(),
        };
        writeln!(out, "storage      {state}{oldest}{free}")?;
        if let Some(why) = &self.trouble {
            writeln!(out, "             {why}")?;
        }
        self.commits.line(out)
    }
}

impl Room {
    fn of<'r>(reports: impl Iterator<Item = &'r Report>) -> Self {
        let mut all = Self::default();
        for report in reports {
            all.mailboxes.add(report.mailboxes);
            all.pairs.add(report.pairs);
            all.senders.add(report.senders);
        }
        all
    }

    fn lines(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { mailboxes, pairs, senders } = self;
        for (kind, what) in [
            (mailboxes, "mailboxes"),
            (pairs, "shares of one sender in one mailbox"),
            (senders, "shares of one sender in all mailboxes"),
        ] {
            let Fullness { fullest_percent, nearly_full } = *kind;
            if fullest_percent > 0 {
                writeln!(
                    out,
                    "             {what}: the fullest is {fullest_percent} % full, {nearly_full} are nearly full"
                )?;
            }
        }
        Ok(())
    }
}

impl Fullness {
    fn add(&mut self, more: server::Fullness) {
        self.fullest_percent = self.fullest_percent.max(more.fullest_percent);
        self.nearly_full += more.nearly_full as u64;
    }
}

impl Commits {
    fn of(commits: &store::Commits) -> Self {
        Self {
            count: commits.times.counts().iter().sum(),
            letters: commits.letters.sum(),
            p99_us: commits.times.p99(),
        }
    }

    fn line(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { count, letters, p99_us } = *self;
        let times = p99_us.map(|p99| format!("; 99 of 100 took at most {}", span_us(p99)));
        let count = figures::count(count, "commit", "commits");
        let letters = figures::count(letters, "new letter", "new letters");
        writeln!(out, "             {count} with {letters}{}", times.unwrap_or_default())
    }
}

impl Backup {
    fn of(backups: &Backups) -> Self {
        let State { verified, unusable, looked, begun, trouble, trouble_by_hand, failures: _ } =
            backups.state();
        let told =
            |trouble: backup::Trouble| Trouble { at: clock::written(trouble.at), why: trouble.why };
        Self {
            scheduled: backups.are_scheduled(),
            verified: verified.map(clock::written),
            verified_s_ago: verified.map(seconds_since),
            begun: begun.map(clock::written),
            lasts_s: begun.map(seconds_since),
            unusable,
            looked_s_ago: looked.map(seconds_since),
            trouble: trouble.map(told),
            trouble_by_hand: trouble_by_hand.map(told),
        }
    }

    fn lines(&self, out: &mut dyn Write) -> io::Result<()> {
        let newest = match &self.verified {
            Some(moment) if self.unusable.is_some() => {
                format!("the newest that is known is of {moment}")
            }
            Some(moment) => format!("the newest is of {moment}"),
            None if self.unusable.is_some() => "it is not known whether there is one".to_owned(),
            None => "there is none".to_owned(),
        };
        let scheduled = if self.scheduled { "" } else { "; none is made by the clock" };
        writeln!(out, "backup       {newest}{scheduled}")?;
        if let Some(begun) = &self.begun {
            writeln!(out, "             one is being made since {begun}")?;
        }
        if let Some(why) = &self.unusable {
            let ago = ago(self.looked_s_ago);
            writeln!(out, "             NONE CAN BE MADE IN {why}{ago}")?;
        }
        if let Some(Trouble { at, why }) = &self.trouble {
            writeln!(out, "             BY THE CLOCK, NONE WAS MADE {at}: {why}")?;
        }
        if let Some(Trouble { at, why }) = &self.trouble_by_hand {
            writeln!(out, "             by hand, none was made {at}: {why}")?;
        }
        Ok(())
    }
}

impl Canary {
    fn of(canary: &canary::Canary) -> Self {
        let canary::State { succeeded, times, trouble, .. } = canary.state();
        let took: Duration = times.iter().sum();
        let mut known = Self {
            every_ms: canary.every().map(ms),
            succeeded: succeeded.map(clock::written),
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            fails_since: None,
            fails_at: None,
            why: None,
            failed_s_ago: None,
        };
        if let Some(canary::Failing { since, last, stage, why }) = trouble {
            known.fails_since = Some(clock::written(since));
            known.fails_at = Some(stage.name().into());
            known.why = Some(why);
            known.failed_s_ago = Some(seconds_since(last));
        }
        known
    }

    fn line(&self, out: &mut dyn Write) -> io::Result<()> {
        let every = match self.every_ms {
            Some(every) => format!("a letter each {}", figures::span(every)),
            None => "off (canary.every)".into(),
        };
        let last = match &self.succeeded {
            Some(moment) => {
                format!("; the last one arrived {moment}, in {}", span_us(self.took_us))
            }
            None => String::new(),
        };
        writeln!(out, "canary       {every}{last}")?;
        if let (Some(since), Some(stage), Some(why)) =
            (&self.fails_since, &self.fails_at, &self.why)
        {
            let ago = ago(self.failed_s_ago);
            // Where none is sent by the clock, nothing is known of now.
            match self.every_ms {
                Some(_) => writeln!(
                    out,
                    "             DOES NOT ARRIVE since {since}, at the stage {stage}{ago}: {why}"
                )?,
                None => writeln!(
                    out,
                    "             the last one did not arrive, at the stage {stage}{ago}: {why}; `waxwing-server \
                     doctor --live` tries again"
                )?,
            }
        }
        Ok(())
    }
}

fn seconds_since(moment: UnixTime) -> u64 {
    u64::try_from(clock::unix_now().minus(moment)).unwrap_or(0)
}

/// When something was seen that may be otherwise by now.
fn ago(seconds: Option<u64>) -> String {
    let span = seconds.map(|seconds| figures::span(seconds.saturating_mul(1_000)));
    span.map_or_else(String::new, |span| format!(" (seen {span} ago)"))
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn span_us(microseconds: u64) -> String {
    if microseconds < 1_000 {
        format!("{microseconds} us")
    } else {
        figures::span(microseconds / 1_000)
    }
}

// ---- For the operator ----

/// How the server is that is connected with, and runs with this configuration.
pub(crate) fn ask(connection: Connection, config: &Config) -> Result<Status, Failure> {
    protocol::ask_one(connection, &Asked::new(config, Request::Status { watch: false }))
}

/// How the server is that runs with this configuration, if one does and answers soon.
pub(super) fn of_running(config: &Config) -> Option<Status> {
    let path = config.server.control_socket().ok()??;
    let connection = Connection::open_within(&path, SOON).ok()??;
    ask(connection, config).ok()
}

/// How long a server may take to accept, and for an answer that a command can do without. It waits for its loops for less
/// than two seconds.
pub(crate) const SOON: Duration = Duration::from_secs(4);

/// What may be wrong with a log.
#[derive(Clone, Debug)]
pub(crate) struct LogTrouble<'a> {
    /// Nothing for standard error.
    pub(crate) file: Option<&'a str>,
    /// Lines that could not be written since the start.
    pub(crate) lost_lines: u64,
    /// Why it cannot be written.
    pub(crate) why: Option<&'a str>,
    /// Why it could not be opened again, so that lines go on into the file that was opened before.
    pub(crate) not_reopened: Option<&'a str>,
    /// When one of the two was seen last, in words.
    pub(crate) ago: String,
}

impl Status {
    /// The fingerprint of the server's key.
    pub(crate) fn key(&self) -> String {
        self.key.fingerprint().to_owned()
    }

    /// Why a planned key has not taken its place, or the server cannot take over.
    pub(crate) fn key_trouble(&self) -> Option<String> {
        self.key.trouble().map(str::to_owned)
    }

    /// What is wrong with the log.
    pub(crate) fn log_trouble(&self) -> LogTrouble<'_> {
        let Log { file, lost_lines, trouble, not_reopened, seen_s_ago, .. } = &self.log;
        LogTrouble {
            file: file.as_deref(),
            lost_lines: *lost_lines,
            why: trouble.as_deref(),
            not_reopened: not_reopened.as_deref(),
            ago: ago(*seen_s_ago),
        }
    }

    /// Users, and bytes of letters that wait.
    pub(crate) const fn load(&self) -> (u64, u64) {
        (self.users, self.pending_bytes)
    }

    /// Why what operators do cannot be noted.
    pub(crate) fn audit_problem(&self) -> Option<&str> {
        self.audit_problem.as_deref()
    }

    /// Whether it serves people, and does not stand by.
    pub(crate) fn serves(&self) -> bool {
        self.role != STANDBY
    }

    /// The numbers of loops that do not answer.
    pub(crate) fn hanging_loops(&self) -> Vec<String> {
        let hanging = self.loops.iter().filter(|one| !one.answers);
        hanging.map(|one| one.number.to_string()).collect()
    }

    /// Why storage does not take what is written; of a server that stands by, why it cannot take over.
    pub(crate) fn storage_problem(&self) -> Option<&str> {
        let unknown = (!self.storage.works && self.serves()).then_some("the log says why");
        self.storage.trouble.as_deref().or(unknown)
    }

    /// When the server stops at the latest, if all sessions are sent away.
    pub(crate) fn drained_by(&self) -> Option<&str> {
        self.drained_by.as_deref()
    }

    /// When and why the configuration could not be read again, if that was the last attempt.
    pub(crate) fn not_read_again(&self) -> Option<(&str, &str)> {
        let Configuration { failed, failure, .. } = &self.configuration;
        failed.as_deref().zip(failure.as_deref())
    }

    /// Settings whose values wait for a restart.
    pub(crate) fn waiting_settings(&self) -> &[String] {
        &self.configuration.waiting
    }

    /// Ways on which the last code did not get through, how many in a row did not, and how long ago the last of
    /// them did not.
    pub(crate) fn failing_ways(&self) -> Vec<(&str, u32, Duration)> {
        let failing = self.failing_ways.iter();
        let told = |one: &'_ FailingWay| Duration::from_millis(one.ago_ms);
        failing.map(|one| (&*one.way, one.failures, told(one))).collect()
    }

    /// Whether it stops.
    pub(crate) const fn stops(&self) -> bool {
        self.stops
    }

    /// The age of the newest backup, if there is one.
    pub(crate) fn age_of_newest_backup(&self) -> Option<Duration> {
        self.backup.verified_s_ago.map(Duration::from_secs)
    }

    /// When the backup was begun that is being made, and for how long it is.
    pub(crate) fn backup_begun(&self) -> Option<(&str, Duration)> {
        let begun = self.backup.begun.as_deref();
        begun.zip(self.backup.lasts_s.map(Duration::from_secs))
    }

    /// Why nothing can be put into the directory of backups, and when the server saw that.
    pub(crate) fn backups_unusable(&self) -> Option<String> {
        let Backup { unusable, looked_s_ago, .. } = &self.backup;
        unusable.as_ref().map(|why| format!("{why}{}", ago(*looked_s_ago)))
    }
}

/// Between two attempts to reach a server that has gone.
const PAUSE: Duration = Duration::from_secs(1);

/// Whoever watches sees a restart: the command waits for the next server.
pub(super) fn run(watch: bool, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let mut connection = reach::connect(paper.config)?;
    let mut is_first = true;
    loop {
        let shown = paper.ask(connection, Request::Status { watch }, |out, status| {
            if !std::mem::take(&mut is_first) {
                writeln!(out)?;
            }
            Status::page(out, status)
        });
        match shown {
            Err(failure) if watch && failure.exit() == Exit::Network => {}
            shown => return shown,
        }
        stderr::write(b"waxwing-server: the server has gone, or does not answer; waiting for it\n");
        connection = loop {
            thread::sleep(PAUSE);
            if let Some(connection) = reach::try_to_connect(paper.config)? {
                break connection;
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_half_full_has_a_line_with_the_fullest_of_all_loops() {
        let loops = [(97, 2), (60, 0)].map(|(fullest_percent, nearly_full)| Report {
            mailboxes: server::Fullness { fullest_percent, nearly_full },
            senders: server::Fullness { fullest_percent: 81, nearly_full: 1 },
            ..Report::default()
        });
        let mut page = Vec::new();
        Room::of(loops.iter()).lines(&mut page).unwrap();
        assert_eq!(
            String::from_utf8(page).unwrap(),
            "             mailboxes: the fullest is 97 % full, 2 are nearly full\n             \
             shares of one sender in all mailboxes: the fullest is 81 % full, 2 are nearly full\n"
        );
    }
}
