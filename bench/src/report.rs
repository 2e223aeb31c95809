//! BENCHMARKS.md, written by the command that measures.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::findings::Findings;
use crate::operation::section;
use crate::scenarios::{Bench, Writing};
use crate::{chart, profile, program};

const PROFILED: Writing =
    Writing { pairs: 50, window: 64, payload: 100, span: Duration::from_secs(5) };

/// The document and its chart.
pub(crate) struct Report {
    text: String,
    chart: String,
}

impl Report {
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)?;
        let write = |name: &str, content: &str| {
            let path = directory.join(name);
            fs::write(&path, content).with_context(|| path.display().to_string())
        };
        write("BENCHMARKS.md", &(self.text.clone() + &section::kept(directory)?))?;
        write("benchmarks.svg", &self.chart)
    }
}

/// Measures everything.
pub(crate) fn make(bench: &mut Bench, findings: &mut Findings, scale: f64) -> Result<Report> {
    program::run(bench, findings, scale)?;
    let span = PROFILED.span.mul_f64(scale);
    let mut profiles = String::new();
    for (pairs, window) in [(50, 64), (50, 1)] {
        let writing = Writing { pairs, window, span, ..PROFILED };
        match profile::take(bench, writing) {
            Ok(profile) => profiles += &format!("{profile}\n"),
            Err(error) => profiles += &format!("Not measured: {error:#}.\n\n"),
        }
    }
    let text = TEMPLATE
        .replace("{machine}", &machine())
        .replace("{scale}", &scaled(scale))
        .replace("{floor}", &findings.floor.to_string())
        .replace("{goals}", (findings.goal_table() + "\n" + &findings.notes()).trim_end())
        .replace("{runs}", findings.run_table().trim_end())
        .replace("{profiles}", profiles.trim_end());
    Ok(Report { text, chart: chart::draw(findings) })
}

const TEMPLATE: &str = include_str!("report.md");

/// Says so where the sizes are not those of the goals.
pub(crate) fn scaled(scale: f64) -> String {
    if scale == 1.0 {
        return String::new();
    }
    format!(
        "\nTimes and numbers were multiplied by {scale}, so these are no figures for the goals.\n"
    )
}

pub(crate) fn machine() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(": ")?.1.to_owned())
    });
    let system = Command::new("uname").args(["-sr"]).output();
    let system = system.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let plural = if cores == 1 { "" } else { "s" };
    format!(
        "{cores} core{plural} of {}, {}",
        model.unwrap_or_else(|| "an unknown processor".into()),
        system.unwrap_or_else(|_| "an unknown system".into())
    )
}
