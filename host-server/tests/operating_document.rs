//! What operators read and what Prometheus and Grafana are given: commands, settings, metrics and alerts
//! that are named there exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::Parser;
use serde_json::{Value, json};
use waxwing_server::cli::Cli;
use waxwing_server::config::Config;
use waxwing_server::doctor::CHECKS;
use waxwing_server::manual;

const DOCUMENTS: [&str; 2] = ["docs/OPERATING.md", "README.md"];
const RULES: &str = "contrib/prometheus/waxwing.rules.yml";
const TESTS: &str = "contrib/prometheus/waxwing.tests.yml";
const DASHBOARD: &str = "contrib/grafana/waxwing.json";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// The lines of a document's blocks of code in this language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let begun = document.split(&fence).skip(1);
    begun.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// What stands between backticks in the running text.
fn spans(document: &str) -> Vec<String> {
    let running = document.split("```").step_by(2).collect::<String>();
    running.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The command lines of the server in a document, without what is before the name of the program.
fn command_lines(document: &str) -> Vec<String> {
    let code =
        ["sh", "console", "text"].into_iter().flat_map(|language| blocks(document, language));
    let lines = code.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.chain(spans(document)).filter_map(|line| arguments(&line)).collect()
}

fn arguments(line: &str) -> Option<String> {
    let (before, after) = line.split_once("waxwing-server")?;
    if before.contains("apt ") || after.starts_with(['_', '=', '/']) || before.ends_with('-') {
        return None;
    }
    let after = if before.contains("cargo run") { after.split_once(" -- ")?.1 } else { after };
    // Two spaces stand before an explanation. Where the output goes is the shell's business.
    let after = after.trim_start().split("  ").next().unwrap();
    let after = after.split(" > ").next().unwrap();
    Some(after.trim_end_matches('\'').trim().to_owned())
}

/// What `users list | show USER` and `health [--ready]` stand for.
fn spelt_out(line: &str) -> Vec<String> {
    let group = line.split(' ').next().unwrap();
    let named = line.split(" | ").enumerate().map(|(number, alternative)| match number {
        0 => alternative.to_owned(),
        _ => format!("{group} {alternative}"),
    });
    named.flat_map(|alternative| with_and_without_option(&alternative)).collect()
}

fn with_and_without_option(line: &str) -> Vec<String> {
    let Some((before, rest)) = line.split_once('[') else { return vec![line.to_owned()] };
    let (option, after) = rest.split_once(']').unwrap();
    vec![format!("{before}{after}"), format!("{before}{option}{after}")]
}

/// The shell of whoever types the line sees only what that user may see, and keys and logs are for others.
#[test]
fn no_line_for_another_user_leaves_it_to_ones_own_shell_to_find_the_files() {
    for name in DOCUMENTS {
        for line in blocks(&text(name), "sh").iter().flat_map(|block| block.lines()) {
            let finds = line.starts_with("sudo ") && line.contains(['*', '?']);
            assert!(!finds || line.contains("./") || line.contains("sh -c '"), "{name}: {line}");
        }
    }
}

#[test]
fn every_command_line_of_the_documents_is_one_that_the_server_understands() {
    for document in DOCUMENTS {
        let lines: Vec<_> =
            command_lines(&text(document)).iter().flat_map(|line| spelt_out(line)).collect();
        assert!(lines.len() >= 8, "the search has lost what it looks at: {lines:?}");
        for line in lines {
            let words = line.split_whitespace().map(|word| match word {
                "USER" => "7",
                "PHONE" => "+15550001111",
                other => other,
            });
            let parsed = Cli::try_parse_from(std::iter::once("waxwing-server").chain(words));
            let cli = parsed.unwrap_or_else(|error| panic!("{document}: {line}\n{error}"));
            cli.command().unwrap_or_else(|failure| panic!("{document}: {line}\n{failure}"));
        }
    }
}

#[test]
fn every_setting_of_the_documents_exists() {
    let keys: BTreeSet<String> = Config::keys_as_json()
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned()
        })
        .collect();
    let sections: BTreeSet<_> = keys.iter().map(|key| key.split('.').next().unwrap()).collect();
    for document in DOCUMENTS {
        let spans = spans(&text(document));
        let settings = spans.iter().map(|span| span.split(" =").next().unwrap()).filter(|span| {
            let has_dots = span.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c));
            let section = span.split_once('.').map(|(section, _)| section);
            has_dots
                && section.is_some_and(|name| sections.contains(name))
                && !span.ends_with(".pem")
                && *span != "server.former"
        });
        let unknown: Vec<_> = settings.filter(|name| !keys.contains(*name)).collect();
        assert!(unknown.is_empty(), "{document} names settings that do not exist: {unknown:?}");
    }
}

#[test]
fn every_configuration_of_the_documents_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("waxwing.toml");
    for document in ["docs/OPERATING.md", "docs/METRICS.md"] {
        let blocks = blocks(&text(document), "toml");
        assert!(!blocks.is_empty());
        for block in blocks {
            fs::write(&file, &block).unwrap();
            let read = Config::load(Some(&file), [], &[]);
            assert!(read.is_ok(), "{document}: {block}\n{}", read.unwrap_err());
        }
    }
}

/// Names of metrics in a text, as METRICS.md has them.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let begun = text.split("waxwing_").skip(1);
    // A path such as `waxwing_server::store` names a part of the program.
    begun
        .filter(|rest| !rest.trim_start_matches(is_of_name).starts_with("::"))
        .map(|rest| rest.split(|c| !is_of_name(c)).next().unwrap())
        .map(|name| name.strip_suffix("_bucket").unwrap_or(name))
        .map(|name| format!("waxwing_{name}"))
        .collect()
}

#[test]
fn every_metric_of_alerts_dashboard_and_documents_exists() {
    let known = metrics(&text("docs/METRICS.md"));
    for name in [RULES, TESTS, DASHBOARD, "docs/OPERATING.md"] {
        let named = metrics(&text(name));
        assert!(named.len() > 2, "the search has lost what it looks at: {named:?}");
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?} is not in docs/METRICS.md");
    }
}

#[test]
fn the_table_of_checks_is_what_the_doctor_looks_at() {
    let document = text("docs/OPERATING.md");
    let (_, table) = document.split_once("| Check | What it looks at |\n|---|---|\n").unwrap();
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let checks: Vec<_> =
        CHECKS.iter().map(|check| format!("| `{}` | {} |", check.name, check.about)).collect();
    assert_eq!(rows, checks);
}

#[test]
fn the_tables_of_exit_codes_are_those_of_the_server() {
    let codes = manual::exit_codes;
    let document = text("docs/OPERATING.md");
    let (_, table) = document.split_once("| Code | Meaning |\n|---|---|\n").unwrap();
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let expected: Vec<_> =
        codes().map(|code| format!("| {} | {} |", code.name, code.about)).collect();
    assert_eq!(rows, expected);

    let document = text("README.md");
    let (_, table) = document.split_once("| Server: `waxwing-server` |\n|---|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|')).map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        (cells[0].to_owned(), cells[2].to_owned())
    });
    let of_server: Vec<_> = rows.filter(|(_, meaning)| !meaning.is_empty()).collect();
    let expected: Vec<_> = codes().map(|code| (code.name, code.about.to_owned())).collect();
    assert_eq!(of_server, expected);

    let help = Cli::try_parse_from(["waxwing-server", "--help"]).unwrap_err().to_string();
    for code in codes() {
        assert!(help.contains(&format!("{:>2}  {}\n", code.name, code.about)), "{help}");
    }
}

#[test]
fn the_codes_after_which_the_unit_starts_nothing_again_are_those_of_the_page() {
    let (unit, document) =
        (text("host-server/packaging/waxwing.service"), text("docs/OPERATING.md"));
    assert!(unit.contains("\nRestartPreventExitStatus=2 4 78\n"), "{unit}");
    assert!(document.contains("does not start the server again after 2, 4 and 78"));
}

#[test]
fn every_alert_has_a_test_and_says_what_to_do() {
    let (rules, tests, document) = (text(RULES), text(TESTS), text("docs/OPERATING.md"));
    let alerts: BTreeSet<_> = rules.split("alert: ").skip(1).collect();
    let mut names = BTreeSet::new();
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        let anchor = format!("docs/OPERATING.md#{}\n", name.to_lowercase());
        assert!(alert.contains(&anchor), "{name} has no annotation that ends with {anchor}");
        let fires = format!("alertname: {name}\n        exp_alerts:");
        assert!(tests.contains(&fires), "{TESTS} does not show that {name} fires");
        assert!(
            tests.contains(&format!("alertname: {name}}}")),
            "{TESTS}: {name} may fire at any time"
        );
        names.insert(name);
    }
    let (_, runbook) = document.split_once("\n## When an alert fires\n").unwrap();
    let headings: BTreeSet<_> =
        runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(headings, names);
}

#[test]
fn prometheus_understands_alerts_and_dashboard() {
    if let Err(error) = Command::new("promtool").arg("--version").output() {
        eprintln!("SKIPPED: promtool cannot be run ({error}); Debian has it in prometheus");
        return;
    }
    let promtool = |arguments: &[&str], file: PathBuf| {
        let output = Command::new("promtool").args(arguments).arg(file).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "promtool {arguments:?}: {said}");
    };
    promtool(&["check", "rules"], path(RULES));
    promtool(&["test", "rules"], path(TESTS));

    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let rules: Vec<_> = targets
        .enumerate()
        .map(|(number, target)| {
            let expression = target["expr"].as_str().unwrap().replace("$__rate_interval", "5m");
            json!({ "record": format!("expression:{number}"), "expr": expression })
        })
        .collect();
    assert!(rules.len() > 20, "the search has lost what it looks at");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dashboard.yml");
    let groups = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(&file, groups.to_string()).unwrap();
    promtool(&["check", "rules"], file);
}
