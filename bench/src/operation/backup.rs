//! What letters notice of a backup, and what memory it takes.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::everything::Everything;
use super::operator::{Operator, Running};
use super::{PAYLOAD, Sizes, load};
use crate::findings::{Findings, Goal, micros, quantile};
use crate::load::{LOOK, Load, Sight, Stage};
use crate::population::{self, Person, ServerData};
use crate::process::{Server, ServerBinary, Settings};
use crate::scenarios::{Bench, Writing, thousands};

/// For the server's threads to come to rest.
const REST: Duration = Duration::from_millis(500);
/// Beside a load a backup takes longer. Letters are signed for so many times as long.
const LONGER: f64 = 2.5;
/// More than this is not signed: letters are fresh for some minutes only.
const LONGEST: Duration = Duration::from_secs(30);
/// Half load lasts for so long before a backup begins beside it, but no longer than the backup takes alone: else
/// the load's own start would be measured, too.
const LONGEST_START: Duration = Duration::from_secs(2);
/// For the clock to make a backup, and to delete the one before.
const CLOCK_PATIENCE: Duration = Duration::from_mins(2);
const LOOK_CLOSELY: Duration = Duration::from_millis(1);
/// What a backup has beside it.
const MANIFEST: &str = ".json";
/// For what has to be measured until something else ends.
const SHORT: Duration = Duration::from_millis(400);

/// A server with a full database, and how long a backup of it takes while nobody writes.
struct Full<'a> {
    data: &'a mut ServerData,
    server: &'a Server,
    /// What is backed up, in words.
    what: String,
    alone: Duration,
}

pub(super) fn measure(
    bench: &mut Bench,
    findings: &mut Findings,
    sizes: &Sizes,
    half: f64,
) -> Result<()> {
    let people = population::of(4 * sizes.pairs, bench.keys);
    let (writers, others) = people.split_at(2 * sizes.pairs);
    let everything = Everything::below(&bench.dir, &bench.binary)?;
    bench.settings = everything.settings();
    // Only those that are asked for here.
    bench.settings.values.retain(|(name, _)| *name != "backup.directory");
    let started = bench.start(&people, sizes.users, sizes.letters);
    bench.settings = Settings::default();
    let (mut data, server) = started?;
    let what = format!("a backup of {} letters", thousands(sizes.letters));
    let mut full = Full { data: &mut data, server: &server, what, alone: Duration::ZERO };
    full.alone(bench, findings)?;
    full.beside_half_load(bench, findings, writers, half)?;
    full.beside_full_load(bench, findings, others, sizes.full)?;
    let Full { what, alone, .. } = full;
    server.stop()?;

    let shelf = data.root().join("backups");
    fs::create_dir(&shelf)?;
    // As soon as one is made the one before is deleted, and a second later the next one begins.
    let by_clock = [
        ("backup.directory", &*shelf.to_string_lossy()),
        ("backup.every", "1s"),
        ("backup.keep", "1"),
    ];
    let values = by_clock.map(|(name, value)| (name, value.to_owned())).to_vec();
    let server = data.start(&bench.binary, &Settings { values, file: None })?;
    let full = Full { data: &mut data, server: &server, what, alone };
    full.beside_deletion(bench, findings, others, half, &Shelf(shelf))?;
    server.stop()
}

/// Where the clock makes backups.
struct Shelf(PathBuf);

impl Shelf {
    /// The files with a name that ends like this.
    fn files(&self, ending: &str) -> Result<Vec<PathBuf>> {
        let files = fs::read_dir(&self.0)?.map(|entry| Ok(entry?.path()));
        let files = files.collect::<Result<Vec<_>>>()?;
        Ok(files.into_iter().filter(|file| file.to_string_lossy().ends_with(ending)).collect())
    }

    /// Waits until there is one.
    fn await_one(&self) -> Result<()> {
        self.until(|| Ok(!self.files(MANIFEST)?.is_empty()))
    }

    /// Waits until one is being deleted, and says which.
    fn await_deletion(&self) -> Result<PathBuf> {
        // The next one may be there already.
        let oldest = self.files(MANIFEST)?.into_iter().min().context("there is a backup")?;
        let old = oldest.to_string_lossy().trim_end_matches(MANIFEST).to_owned();
        let being_deleted = PathBuf::from(old.clone() + ".new");
        self.until(|| Ok(!PathBuf::from(&old).exists()))?;
        Ok(being_deleted)
    }

    fn until(&self, is_so: impl Fn() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + CLOCK_PATIENCE;
        while !is_so()? {
            ensure!(Instant::now() < deadline, "the clock makes no backups: {:?}", self.files("")?);
            thread::sleep(LOOK_CLOSELY);
        }
        Ok(())
    }
}

impl Full<'_> {
    /// Deletes the last backup. That takes a while, and is not to be measured.
    fn forget_copy(&self) -> Result<()> {
        let copy = self.copy();
        for file in [copy.clone(), copy.with_extension("json")] {
            fs::remove_file(file)?;
        }
        Ok(())
    }

    /// Begins a backup that waits for all of it: the copy, the log's way into the file, and that it is
    /// read again.
    fn begin(&self, binary: &ServerBinary) -> Result<Running> {
        let copy = self.copy();
        let operator = Operator { binary, data: self.data.path() };
        operator.begin(&["backup", "create", &copy.display().to_string()])
    }

    /// Its manifest has the same name with `.json` behind.
    fn copy(&self) -> PathBuf {
        self.data.root().join("copy")
    }

    fn alone(&mut self, bench: &Bench, findings: &mut Findings) -> Result<()> {
        thread::sleep(REST);
        let (before, _) = self.server.memory()?;
        self.server.forget_peak()?;
        (self.alone, _) = self.begin(&bench.binary)?.end()?;
        let (_, peak) = self.server.memory()?;
        let name = format!("{}: memory at most", self.what);
        let more = peak.saturating_sub(before) as f64 / 1_024.0;
        findings.goals.push(Goal::new(name, 16.0, more, "MiB more"));
        let (seconds, bytes) = (self.alone.as_secs_f64(), fs::metadata(self.copy())?.len());
        let mib = bytes as f64 / f64::from(1 << 20);
        findings
            .remarks
            .push(format!("{} has {mib:.0} MiB, and takes {seconds:.1} s alone", self.what));
        self.forget_copy()
    }

    /// So long letters are there for, beside a backup.
    fn patience(&self) -> Duration {
        LONGEST.min(self.alone.mul_f64(LONGER) + SHORT)
    }

    fn beside_half_load(
        &mut self,
        bench: &mut Bench,
        findings: &mut Findings,
        people: &[Person],
        half: f64,
    ) -> Result<()> {
        let warm_up = self.alone.min(LONGEST_START);
        let writing = Writing {
            pairs: people.len() / 2,
            window: 128,
            payload: PAYLOAD,
            span: self.patience() + warm_up,
        };
        let stock = bench.stock(people, writing.letters_at(half), PAYLOAD)?;
        let stage = bench.stage(people, &stock, self.server, self.data);
        let stage = Stage { yardstick: None, ..stage };
        let load = Load { warm_up, ..load(&writing, Some(half)) };
        let mut beside = Beside::default();
        // It ends with the backup.
        let measured = stage.relay(load, SHORT, |sight| {
            beside = Beside::look(sight, self.begin(&bench.binary)?)?;
            Ok(())
        })?;
        self.forget_copy()?;
        let [p99, most] = [0.99, 1.0].map(|part| micros(quantile(&measured.latencies, part)) / 1e3);
        let what = &self.what;
        findings.goals.push(Goal::new(
            format!("half load beside {what}: stored, p99"),
            50.0,
            p99,
            "ms",
        ));
        let name =
            format!("half load beside {what}: stored, slowest of {}", measured.latencies.len());
        findings.goals.push(Goal::new(name, 1_000.0, most, "ms"));
        findings.remarks.push(beside.words("half", what));
        Ok(())
    }

    /// Letters that are answered while a backup of before is deleted.
    fn beside_deletion(
        self,
        bench: &mut Bench,
        findings: &mut Findings,
        people: &[Person],
        half: f64,
        shelf: &Shelf,
    ) -> Result<()> {
        shelf.await_one()?;
        let span = self.patience() + LONGEST_START;
        let writing = Writing { pairs: people.len() / 2, window: 128, payload: PAYLOAD, span };
        // Those of before are used up.
        bench.stocks.clear();
        let stock = bench.stock(people, writing.letters_at(half), PAYLOAD)?;
        let stage = bench.stage(people, &stock, self.server, self.data);
        let stage = Stage { yardstick: None, ..stage };
        let (old, mut took) = (RefCell::new(PathBuf::new()), Duration::ZERO);
        let begin = || {
            *old.borrow_mut() = shelf.await_deletion()?;
            Ok(())
        };
        let measured =
            stage.relay_after(begin, load(&writing, Some(half)), Duration::ZERO, |_| {
                let begun = Instant::now();
                shelf.until(|| Ok(!old.borrow().exists()))?;
                took = begun.elapsed();
                // Letters that have waited for it are among those that are measured.
                thread::sleep(SHORT);
                Ok(())
            })?;
        let [p99, most] = [0.99, 1.0].map(|part| micros(quantile(&measured.latencies, part)) / 1e3);
        let what = format!("half load beside the deletion of {}", self.what);
        findings.goals.push(Goal::new(format!("{what}: stored, p99"), 50.0, p99, "ms"));
        let count = measured.latencies.len();
        findings.goals.push(Goal::new(
            format!("{what}: stored, slowest of {count}"),
            1_000.0,
            most,
            "ms",
        ));
        let took = took.as_secs_f64();
        findings
            .remarks
            .push(format!("the deletion of {} takes {took:.1} s beside half load", self.what));
        Ok(())
    }

    fn beside_full_load(
        &mut self,
        bench: &mut Bench,
        findings: &mut Findings,
        people: &[Person],
        before: Duration,
    ) -> Result<()> {
        let span = before + self.patience();
        let writing = Writing { pairs: people.len() / 2, window: 64, payload: PAYLOAD, span };
        // Those of before are used up.
        bench.stocks.clear();
        let stock = bench.stock(people, writing.letters_each(&bench.floor), PAYLOAD)?;
        let stage = bench.stage(people, &stock, self.server, self.data);
        let stage = Stage { yardstick: None, ..stage };
        let (mut without, mut beside) = (0.0, Beside::default());
        stage.relay(load(&writing, None), SHORT, |sight| {
            let arrived = sight.arrived();
            thread::sleep(before);
            without = (sight.arrived() - arrived) as f64 / before.as_secs_f64();
            beside = Beside::look(sight, self.begin(&bench.binary)?)?;
            Ok(())
        })?;
        let what = &self.what;
        let name = format!(
            "full load: {without:.0} letters a second, and {:.0} beside {what}",
            beside.per_second()
        );
        findings.goals.push(Goal::new(name, 1.25, without / beside.per_second(), "times"));
        findings.remarks.push(beside.words("full", what));
        Ok(())
    }
}

/// A load beside a backup.
#[derive(Default)]
struct Beside {
    letters: usize,
    /// Until when there were letters to send.
    lasted: Duration,
    /// How long the backup took.
    took: Duration,
}

impl Beside {
    fn look(sight: Sight<'_>, mut backup: Running) -> Result<Self> {
        let (begun, first) = (Instant::now(), sight.arrived());
        let (mut letters, mut lasted) = (0, Duration::ZERO);
        let mut is_full = true;
        while !backup.has_ended()? {
            is_full &= !sight.is_over();
            if is_full {
                (letters, lasted) = (sight.arrived() - first, begun.elapsed());
            }
            thread::sleep(LOOK);
        }
        let (took, _) = backup.end()?;
        Ok(Self { letters, lasted, took })
    }

    fn per_second(&self) -> f64 {
        self.letters as f64 / self.lasted.as_secs_f64()
    }

    fn words(&self, load: &str, what: &str) -> String {
        let (took, lasted) = (self.took.as_secs_f64(), self.lasted.as_secs_f64());
        let end = if self.lasted + SHORT < self.took {
            format!("; there were letters for the first {lasted:.1} s of it")
        } else {
            String::new()
        };
        format!("{what} takes {took:.1} s beside {load} load{end}")
    }
}
