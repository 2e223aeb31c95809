//! What was measured, beside what it would cost at least and what is wanted.

use std::fmt::{self, Write};
use std::time::Duration;

use serde::Serialize;

use crate::account::Spent;
use crate::floor::{BackendKind, Floor, Work};
use crate::load::Measured;
use crate::pair::Tally;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) name: String,
    /// How often a second it happened.
    pub(crate) per_second: f64,
    /// Microseconds within which it happened in 50, 99 and 99.9 of 100 cases.
    pub(crate) latency: Option<[f64; 3]>,
    /// The server's processor time for one, in microseconds.
    pub(crate) processor: f64,
    /// What RSA is in it.
    pub(crate) work: String,
    /// What that RSA takes alone, at the pace that the machine had meanwhile.
    pub(crate) floor: f64,
    /// How many times as long as on the idle machine that is, if anybody looked.
    pub(crate) slowness: Option<f64>,
    /// What is wanted: so many times the floor at most.
    pub(crate) goal: Option<f64>,
    /// KiB of the server's memory at the end, and at most.
    pub(crate) memory: (u64, u64),
    pub(crate) lost: usize,
    pub(crate) duplicated: usize,
}

impl Run {
    pub(crate) fn new(name: String, floor: &Floor, work: Work, goal: Option<f64>) -> Self {
        Self {
            name,
            per_second: 0.0,
            latency: None,
            processor: 0.0,
            work: work.to_string(),
            floor: floor.of(work),
            slowness: None,
            goal,
            memory: (0, 0),
            lost: 0,
            duplicated: 0,
        }
    }

    /// Takes over what a load has shown.
    pub(crate) fn with_load(self, measured: &Measured, memory: (u64, u64)) -> Self {
        let Measured { spent, letters, latencies, tally, .. } = measured;
        self.with(spent, *letters, latencies, memory).with_tally(tally)
    }

    /// Takes over figures; `latencies` are in ascending order.
    pub(crate) fn with(
        self,
        spent: &Spent,
        count: usize,
        latencies: &[Duration],
        memory: (u64, u64),
    ) -> Self {
        let count = count as f64;
        let latency = (!latencies.is_empty())
            .then(|| [0.5, 0.99, 0.999].map(|part| micros(quantile(latencies, part))));
        Self {
            per_second: count / spent.span.as_secs_f64(),
            latency,
            processor: micros(spent.processor) / count,
            floor: self.floor * spent.slowness.unwrap_or(1.0),
            slowness: spent.slowness,
            memory,
            ..self
        }
    }

    fn with_tally(self, tally: &Tally) -> Self {
        Self { lost: tally.lost, duplicated: tally.duplicated, ..self }
    }

    /// Processor time as a multiple of the floor.
    pub(crate) fn ratio(&self) -> f64 {
        self.processor / self.floor
    }
}

/// A goal, and what was reached: no more than the limit is wanted.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) name: String,
    pub(crate) limit: f64,
    pub(crate) reached: f64,
    /// What both are numbers of.
    pub(crate) unit: String,
}

impl Goal {
    pub(crate) fn new(name: impl Into<String>, limit: f64, reached: f64, unit: &str) -> Self {
        Self { name: name.into(), limit, reached, unit: unit.into() }
    }

    pub(crate) fn is_met(&self) -> bool {
        self.reached <= self.limit
    }
}

/// The middle of several figures, and how far they lie apart.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) middle: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` of none.
    pub(crate) fn of(figures: &[f64]) -> Option<Self> {
        let mut ascending = figures.to_vec();
        ascending.sort_by(f64::total_cmp);
        let (least, most) = (*ascending.first()?, *ascending.last()?);
        Some(Self { least, middle: ascending[ascending.len() / 2], most })
    }
}

/// The same without something and with it, in turn.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) name: String,
    /// What the figures are numbers of.
    pub(crate) unit: String,
    pub(crate) without: Spread,
    pub(crate) with: Spread,
    /// What is wanted: so many times the middle without it at most.
    pub(crate) limit: f64,
}

impl Comparison {
    /// The middle with it as a multiple of the middle without it.
    pub(crate) fn ratio(&self) -> f64 {
        self.with.middle / self.without.middle
    }
}

/// Everything of one call.
#[derive(Debug, Serialize)]
pub(crate) struct Findings {
    pub(crate) backend: BackendKind,
    /// Microseconds of each RSA operation.
    pub(crate) floor: Floor,
    pub(crate) runs: Vec<Run>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) goals: Vec<Goal>,
    /// What is worth knowing besides.
    pub(crate) remarks: Vec<String>,
    /// What could not be measured, and why.
    pub(crate) skipped: Vec<String>,
}

impl Findings {
    pub(crate) const fn new(backend: BackendKind, floor: Floor) -> Self {
        Self {
            backend,
            floor,
            runs: Vec::new(),
            comparisons: Vec::new(),
            goals: Vec::new(),
            remarks: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Adds a run, and its goal if it has one.
    pub(crate) fn add(&mut self, run: Run) {
        if let Some(goal) = run.goal {
            let name = format!("{}: processor time", run.name);
            self.goals.push(Goal::new(name, goal, run.ratio(), &times(&run.work)));
        }
        self.runs.push(run);
    }

    /// The runs, in Markdown; so for every table here.
    pub(crate) fn run_table(&self) -> String {
        let mut rows = vec![
            "| | a second | p50 | p99 | p99.9 | CPU each | RSA alone | slower | ratio | memory, peak | lost | double |"
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect::<Vec<_>>(),
        ];
        for run in &self.runs {
            let latency = |at: usize| run.latency.map_or_else(|| "–".into(), |all| span(all[at]));
            rows.push(vec![
                String::new(),
                run.name.clone(),
                format!("{:.0}", run.per_second),
                latency(0),
                latency(1),
                latency(2),
                span(run.processor),
                format!("{} = {}", run.work, span(run.floor)),
                run.slowness.map_or_else(|| "–".into(), |times| format!("{times:.2}")),
                format!("{:.2}", run.ratio()),
                format!("{:.1}, {:.1} MiB", mib(run.memory.0), mib(run.memory.1)),
                run.lost.to_string(),
                run.duplicated.to_string(),
                String::new(),
            ]);
        }
        markdown(&rows)
    }

    pub(crate) fn comparison_table(&self) -> String {
        let head = ["", "middle (least to most)", "without", "with", "ratio", "at most", "", ""];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for comparison in &self.comparisons {
            let Comparison { name, unit, without, with, limit } = comparison;
            let figures = |Spread { least, middle, most }: &Spread| {
                format!("{middle:.2} {unit} ({least:.2} to {most:.2})")
            };
            let ratio = comparison.ratio();
            rows.push(vec![
                String::new(),
                name.clone(),
                figures(without),
                figures(with),
                format!("{ratio:.3}"),
                format!("{limit:.2}"),
                met(ratio <= *limit),
                String::new(),
            ]);
        }
        markdown(&rows)
    }

    pub(crate) fn goal_table(&self) -> String {
        let head = ["", "goal", "at most", "reached", "", ""].map(str::to_owned).to_vec();
        let mut rows = vec![head];
        for goal in &self.goals {
            rows.push(vec![
                String::new(),
                goal.name.clone(),
                number(goal.limit, &goal.unit),
                number(goal.reached, &goal.unit),
                met(goal.is_met()),
                String::new(),
            ]);
        }
        markdown(&rows)
    }

    /// What is worth knowing besides the goals.
    pub(crate) fn notes(&self) -> String {
        let remarks = self.remarks.iter().map(|remark| format!("- {remark}.\n"));
        let skipped = self.skipped.iter().map(|what| format!("- Not measured: {what}.\n"));
        remarks.chain(skipped).collect()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "RSA alone: {}", self.floor)?;
        if !self.runs.is_empty() {
            write!(f, "\n{}", self.run_table())?;
        }
        if !self.comparisons.is_empty() {
            write!(f, "\n{}", self.comparison_table())?;
        }
        if !self.goals.is_empty() {
            write!(f, "\n{}", self.goal_table())?;
        }
        write!(f, "\n{}", self.notes())
    }
}

fn met(is_met: bool) -> String {
    if is_met { "yes" } else { "**no**" }.to_owned()
}

/// The unit of a ratio to some work.
pub(crate) fn times(work: &str) -> String {
    if work.contains('+') { format!("({work})") } else { work.to_owned() }
}

fn number(value: f64, unit: &str) -> String {
    format!("{value:.2} {unit}")
}

/// The value below which `part` of all lie.
pub(crate) fn quantile(ascending: &[Duration], part: f64) -> Duration {
    let at = (ascending.len() as f64 * part) as usize;
    ascending.get(at.min(ascending.len().saturating_sub(1))).copied().unwrap_or_default()
}

pub(crate) fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}

/// Microseconds, in the unit that reads best.
fn span(micros: f64) -> String {
    match micros {
        ..1_000.0 => format!("{micros:.1} µs"),
        1_000.0..1_000_000.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// A table whose columns line up in a terminal, too. The first row is its head; every row has an
/// empty cell before and behind its content.
fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0).saturating_sub(1);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<_> = (1..columns).map(|column| width(column).unwrap_or(0).max(3)).collect();
    let mut table = String::new();
    for (at, row) in rows.iter().enumerate() {
        for (cell, width) in row[1..].iter().zip(&widths) {
            let _ = write!(table, "| {cell:width$} ");
        }
        table.push_str("|\n");
        if at == 0 {
            for width in &widths {
                let _ = write!(table, "|{}", "-".repeat(width + 2));
            }
            table.push_str("|\n");
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let ascending: Vec<_> = (1..=1_000).map(Duration::from_micros).collect();
        assert_eq!(quantile(&ascending, 0.5), Duration::from_micros(501));
        assert_eq!(quantile(&ascending, 0.999), Duration::from_micros(1_000));
        assert_eq!(quantile(&ascending[..1], 0.99), Duration::from_micros(1));
    }

    #[test]
    fn a_run_with_a_goal_is_held_against_it_at_the_pace_of_the_machine() {
        let floor = Floor { verify: 10.0, sign: 0.0, open: 0.0, seal: 0.0 };
        let mut findings = Findings::new(BackendKind::AwsLc, floor);
        let run = Run::new("relay".into(), &floor, Work::V, Some(2.0));
        let spent = Spent {
            span: Duration::from_secs(1),
            processor: Duration::from_micros(3_150),
            slowness: Some(1.5),
        };
        findings.add(run.with(&spent, 100, &[], (0, 0)));
        let [goal] = &findings.goals[..] else { panic!("one goal") };
        assert!((goal.reached - 2.1).abs() < 1e-9 && !goal.is_met(), "{goal:?}");
        let table = findings.goal_table();
        assert!(
            table.contains("| relay: processor time | 2.00 V  | 2.10 V  | **no** |"),
            "{table}"
        );
    }
}
