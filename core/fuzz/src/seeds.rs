//! The inputs that are kept by name, in `seeds/`, and what each of them is to reach.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::Target;

/// The tests that every package of targets has, in its `tests/corpus.rs`: of these targets, and what is
/// expected of their seeds.
#[macro_export]
macro_rules! test_seeds {
    ($targets:expr, $expected:expr) => {
        #[test]
        fn every_seed_reaches_what_its_name_says() {
            let package = ::std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            $crate::seeds::replay(package, $targets, $expected);
        }

        #[test]
        fn every_target_is_complete() {
            let package = ::std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            $crate::seeds::assert_complete(package, $targets);
        }
    };
}

/// A target, its seeds, and what each of them reaches at least.
pub type Expected = (&'static str, &'static [(&'static str, &'static [&'static str])]);

/// Replays every seed of a package, and what a fuzzer has left in `corpus/`.
///
/// # Panics
/// When a target panics, a seed does not reach what is expected of it, or nothing is expected of it.
pub fn replay(package: &Path, targets: &[Target], expected: &[Expected]) {
    let mut wrong = Vec::new();
    for (target, body) in targets {
        let run = |path: &Path| {
            let data = fs::read(path).unwrap();
            let outcome = catch_unwind(AssertUnwindSafe(|| body(&data)));
            outcome.unwrap_or_else(|_| panic!("{}", path.display()))
        };
        let of_target = expected.iter().find(|(name, _)| name == target);
        let (_, seeds) = of_target.unwrap_or_else(|| panic!("{target}: nothing is expected"));
        let files = files(&package.join("seeds").join(target));
        let names: BTreeSet<_> = seeds.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(
            files, names,
            "{target}: the seeds there are, and those of which something is expected"
        );
        for (name, expected) in *seeds {
            let reached = run(&package.join("seeds").join(target).join(name));
            let missing: Vec<_> = expected.iter().filter(|one| !reached.contains(*one)).collect();
            if !missing.is_empty() {
                wrong.push(format!("{target}/{name} misses {missing:?} and reaches {reached:?}"));
            }
        }
        let corpus = package.join("corpus").join(target);
        for name in files_if_any(&corpus) {
            run(&corpus.join(name));
        }
        for data in [&[][..], &[0], &[0xff; 400]] {
            body(data);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each target has a program, seeds, a dictionary and options, and nothing else has.
///
/// # Panics
/// When that is not so.
pub fn assert_complete(package: &Path, targets: &[Target]) {
    for (folder, extension) in
        [("fuzz_targets", ".rs"), ("seeds", ""), ("dictionaries", ".dict"), ("options", ".options")]
    {
        let names: BTreeSet<_> =
            targets.iter().map(|(name, _)| format!("{name}{extension}")).collect();
        assert_eq!(files(&package.join(folder)), names, "{folder}/");
    }
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|_| panic!("no {}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn files_if_any(folder: &Path) -> BTreeSet<String> {
    if folder.exists() { files(folder) } else { BTreeSet::new() }
}
