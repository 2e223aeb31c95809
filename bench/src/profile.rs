//! Where the server's processor time goes, by `perf`, sorted into a few drawers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::findings::{Run, micros};
use crate::floor::Work;
use crate::scenarios::{Bench, Writing};

/// Samples a second; no multiple of anything that happens regularly.
const FREQUENCY: &str = "1999";
/// Functions that the profile names.
const NAMED: usize = 12;

/// Shares of the server's processor time, in percent.
#[derive(Debug)]
pub(crate) struct Profile {
    /// What was relayed.
    pub(crate) name: String,
    /// Microseconds for one letter.
    pub(crate) each: f64,
    /// By thread and drawer.
    shares: BTreeMap<(String, Drawer), f64>,
    /// The most expensive functions.
    functions: Vec<(f64, String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Drawer {
    Rsa,
    Hashing,
    Aes,
    Sqlite,
    System,
    Allocation,
    Waxwing,
    Rest,
}

impl Drawer {
    const ALL: [(Self, &str); 8] = [
        (Self::Rsa, "RSA"),
        (Self::Hashing, "SHA-256"),
        (Self::Aes, "AES"),
        (Self::Sqlite, "SQLite"),
        (Self::System, "system calls"),
        (Self::Allocation, "allocation and copying"),
        (Self::Waxwing, "Waxwing's own code"),
        (Self::Rest, "the rest"),
    ];

    /// Tells by the name of the library and of the function. SQLite's own functions are those of
    /// C that nobody else claims: most of them have no prefix.
    fn of(library: &str, function: &str) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|part| function.contains(part));
        match library {
            "[kernel.kallsyms]" | "[kernel]" | "[unknown]" => Self::System,
            library if library.starts_with('[') => Self::System,
            library if library.contains("libc") => {
                let allocates = ["alloc", "free", "mem", "_int_", "unlink_chunk"];
                if has(&allocates) { Self::Allocation } else { Self::System }
            }
            _ if has(&["sha256", "sha2"]) => Self::Hashing,
            _ if has(&["aes::", "aes_", "aesni", "cbc"]) => Self::Aes,
            _ if has(&["mul_mont", "montgomery", "mont", "bn_", "BN_", "rsa", "RSA", "rsaz"]) => {
                Self::Rsa
            }
            _ if has(&["aws_lc", "crypto_bigint"]) => Self::Rsa,
            _ if has(&["rusqlite", "sqlite"]) => Self::Sqlite,
            _ if has(&["chacha", "getrandom"]) => Self::Rest,
            _ if has(&["waxwing", "hashbrown", "mio"]) => Self::Waxwing,
            _ if has(&["alloc", "memcpy", "drop_in_place"]) => Self::Allocation,
            _ if has(&["::", "<", "_R", "_ZN"]) => Self::Rest,
            _ => Self::Sqlite,
        }
    }
}

/// Profiles the server under a load.
pub(crate) fn take(bench: &mut Bench, writing: Writing) -> Result<Profile> {
    let recording = bench.dir.join("perf.data");
    let (measured, memory) = bench.relay_with(writing, &|server, span| {
        let seconds = span.as_secs_f64().to_string();
        let recorded = Command::new("perf")
            .args(["record", "--quiet", "-e", "cpu-clock", "-F", FREQUENCY, "-o"])
            .arg(&recording)
            .args(["-p", &server.id().to_string(), "--", "sleep", &seconds])
            .stderr(Stdio::null())
            .status()
            .context("perf cannot be run")?;
        ensure!(recorded.success(), "perf failed");
        Ok(())
    })?;
    let name = format!("relay, {} pairs, window {}", writing.pairs, writing.window);
    let run = Run::new(name, &bench.floor, Work::V, None).with_load(&measured, memory);
    let profile =
        read(&recording, run.name, micros(measured.spent.processor) / measured.letters as f64);
    std::fs::remove_file(&recording)?;
    profile
}

fn read(recording: &Path, name: String, each: f64) -> Result<Profile> {
    let reported = Command::new("perf")
        .args(["report", "--stdio", "--no-children", "-F", "overhead,comm,dso,sym", "-t", "\t"])
        .arg("-i")
        .arg(recording)
        .stderr(Stdio::null())
        .output()
        .context("perf cannot be run")?;
    let (mut shares, mut functions) = (BTreeMap::new(), Vec::new());
    for line in String::from_utf8_lossy(&reported.stdout).lines() {
        let cells: Vec<_> = line.split('\t').map(str::trim).collect();
        let [share, thread, library, function] = cells[..] else { continue };
        let Some(Ok(share)) = share.strip_suffix('%').map(str::parse::<f64>) else { continue };
        // Before it comes where it ran: `[.]`, `[k]`.
        let function = function.split_once("] ").map_or(function, |(_, name)| name);
        *shares.entry((thread.to_owned(), Drawer::of(library, function))).or_default() += share;
        functions.push((share, thread.to_owned(), function.to_owned()));
    }
    ensure!(!functions.is_empty(), "perf has seen nothing");
    functions.sort_by(|one, other| other.0.total_cmp(&one.0));
    functions.truncate(NAMED);
    Ok(Profile { name, each, shares, functions })
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut threads: Vec<_> = self.shares.keys().map(|(thread, _)| thread).collect();
        threads.dedup();
        writeln!(f, "{}, {:.1} µs of processor time a letter:\n", self.name, self.each)?;
        let head: Vec<_> = threads.iter().map(|thread| format!("| `{thread}` ")).collect();
        writeln!(f, "| | µs a letter | all {}|", head.concat())?;
        writeln!(f, "|---|---{}|", "|---".repeat(threads.len() + 1))?;
        let mut drawers: Vec<_> = Drawer::ALL
            .iter()
            .map(|(drawer, name)| {
                let of = |thread: &str| {
                    self.shares.get(&(thread.to_owned(), *drawer)).copied().unwrap_or(0.0)
                };
                let each: Vec<_> = threads.iter().map(|thread| of(thread)).collect();
                (each.iter().sum::<f64>(), name, each)
            })
            .collect();
        drawers.sort_by(|one, other| other.0.total_cmp(&one.0));
        for (all, name, each) in drawers {
            let each: Vec<_> = each.iter().map(|share| format!("| {share:.1} % ")).collect();
            let micros = all / 100.0 * self.each;
            writeln!(f, "| {name} | {micros:.1} | {all:.1} % {}|", each.concat())?;
        }
        writeln!(f, "\nThe most expensive functions:\n")?;
        for (share, thread, function) in &self.functions {
            writeln!(f, "- {share:.1} % `{function}` (`{thread}`)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_go_into_the_drawer_of_whoever_wrote_them() {
        for (library, function, drawer) in [
            ("waxwing-server", "aws_lc_0_47_0_bn_sqrx8x_internal", Drawer::Rsa),
            ("waxwing-server", "aws_lc_0_47_0_sha256_block_data_order_hw", Drawer::Hashing),
            ("waxwing-server", "sqlite3VdbeExec", Drawer::Sqlite),
            ("waxwing-server", "pcache1Fetch", Drawer::Sqlite),
            ("waxwing-server", "<rusqlite::row::Rows>::next", Drawer::Sqlite),
            ("waxwing-server", "<waxwing_core::server::Server<P>>::end_turn", Drawer::Waxwing),
            ("[kernel.kallsyms]", "tcp_sendmsg_locked", Drawer::System),
            ("libc.so.6", "__memmove_avx512_unaligned_erms", Drawer::Allocation),
            ("libc.so.6", "__writev", Drawer::System),
        ] {
            assert_eq!(Drawer::of(library, function), drawer, "{function}");
        }
    }
}
