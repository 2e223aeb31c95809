//! Letters that are stored in PostgreSQL beside letters that are stored in SQLite, in turn and in one run.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::findings::{Comparison, Findings, Goal, Run, Spread};
use crate::floor::Work;
use crate::load::Load;
use crate::pair::Until;
use crate::population::{self, Person, ServerData};
use crate::process::{ServerBinary, Settings};
use crate::scenarios::{Bench, Writing};

const PAYLOAD: usize = 100;

/// An empty database of PostgreSQL.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The database: an empty one, which is full of letters afterwards
    #[arg(long, value_name = "URL")]
    url: String,
    /// A file with its password, `storage.password_file`
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Place {
    fn settings(&self) -> Settings {
        // What waits for a standby is the network and another disk, and not the server.
        let mut values =
            vec![("storage.url", self.url.clone()), ("storage.copies", "1".to_owned())];
        values.extend(
            self.password_file
                .as_ref()
                .map(|file| ("storage.password_file", file.display().to_string())),
        );
        Settings { values, file: None }
    }

    /// Brings there what is in a data directory.
    fn fill(&self, binary: &ServerBinary, data: &Path) -> Result<()> {
        let mut command = binary.command();
        command.arg("--data").arg(data).args(["storage", "copy", "--to", &self.url]);
        if let Some(file) = &self.password_file {
            command.env("WAXWING_STORAGE__PASSWORD_FILE", file);
        }
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        let status = status.context("storage copy")?;
        ensure!(status.success(), "storage copy ended with {status}");
        Ok(())
    }
}

/// People at scale 1, and for how long they write.
pub(crate) struct Sizes {
    pairs: usize,
    span: Duration,
}

impl Sizes {
    pub(crate) fn new(scale: f64) -> Self {
        let scaled = |number: f64, least: f64| (number * scale).max(least);
        Self { pairs: scaled(50.0, 2.0) as usize, span: Duration::from_secs_f64(scaled(5.0, 0.2)) }
    }

    pub(crate) fn population(&self) -> usize {
        2 * self.pairs
    }

    /// As fast as it goes.
    fn full(&self) -> Writing {
        Writing { pairs: self.pairs, window: 64, payload: PAYLOAD, span: self.span }
    }

    /// One person, who waits for each answer.
    fn alone(&self) -> Writing {
        Writing { pairs: 1, window: 1, ..self.full() }
    }
}

/// What the runs on one storage have shown, in microseconds.
#[derive(Default)]
struct Series {
    /// The server's processor time for a letter.
    processor: Vec<f64>,
    /// From one letter to the next.
    pace: Vec<f64>,
    /// Half of the letters are stored within this time.
    median: Vec<f64>,
}

impl Series {
    fn add(&mut self, run: &Run) {
        self.processor.push(run.processor);
        self.pace.push(1e6 / run.per_second);
        self.median.extend(run.latency.map(|[median, ..]| median));
    }
}

/// The same letters into both, `rounds` times.
pub(crate) fn measure(
    bench: &mut Bench,
    findings: &mut Findings,
    place: &Place,
    rounds: usize,
    sizes: &Sizes,
) -> Result<()> {
    let people = population::of(sizes.population(), bench.keys);
    let mut moved = ServerData::new(&bench.dir)?;
    moved.register(&people)?;
    moved.close()?;
    place.fill(&bench.binary, moved.path())?;

    let [mut full, mut alone] = [(); 2].map(|()| [(); 2].map(|()| Series::default()));
    for _ in 0..rounds {
        for (writing, [sqlite, postgres]) in
            [(sizes.full(), &mut full), (sizes.alone(), &mut alone)]
        {
            let people = &people[..2 * writing.pairs];
            // The database has the letters of the last round, and would take them for repeated ones.
            bench.stocks.clear();
            let mut own = ServerData::new(&bench.dir)?;
            own.register(people)?;
            sqlite.add(&once(bench, people, writing, &mut own, &Settings::default())?);
            postgres.add(&once(bench, people, writing, &mut moved, &place.settings())?);
        }
    }

    let [sqlite, postgres] = &full;
    let mut compare = |what: &str, limit, without: &[f64], with: &[f64]| -> Result<()> {
        let spread = |all| Spread::of(all).context("there were no runs");
        findings.comparisons.push(Comparison {
            name: format!("{what}, without: SQLite, with: PostgreSQL"),
            unit: "µs".into(),
            without: spread(without)?,
            with: spread(with)?,
            limit,
        });
        Ok(())
    };
    compare("processor time a stored letter", 1.1, &sqlite.processor, &postgres.processor)?;
    compare("full load: time a stored letter", 2.5, &sqlite.pace, &postgres.pace)?;
    let [sqlite, postgres] =
        alone.map(|series| Spread::of(&series.median).map_or(f64::NAN, |all| all.middle / 1e3));
    let name =
        format!("window 1: median until a letter is stored, beside {sqlite:.2} ms in SQLite");
    findings.goals.push(Goal::new(name, 1.5, postgres - sqlite, "ms more"));
    Ok(())
}

/// Letters to people who are away.
fn once(
    bench: &mut Bench,
    people: &[Person],
    writing: Writing,
    data: &mut ServerData,
    settings: &Settings,
) -> Result<Run> {
    let stock = bench.stock(people, writing.letters_each(&bench.floor), writing.payload)?;
    let server = data.start(&bench.binary, settings)?;
    let stage = bench.stage(people, &stock, &server, data);
    let load = Load { recipients: false, until: Until::Answered, ..writing.load() };
    let measured = stage.relay(load, writing.span, |_| Ok(()))?;
    let run =
        Run::new(String::new(), &bench.floor, Work::V, None).with_load(&measured, server.memory()?);
    ensure!(run.lost + run.duplicated == 0, "{} letters were lost", run.lost);
    server.stop()?;
    Ok(run)
}
