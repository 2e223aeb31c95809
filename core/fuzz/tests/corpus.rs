//! Replays every input that is kept: seeds, and whatever once broke something.

use std::fs;
use std::path::Path;

use waxwing_core_fuzz::TARGETS;

#[test]
fn every_target_takes_every_input_that_is_kept() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, body) in TARGETS {
        let inputs = fs::read_dir(corpus.join(name)).unwrap_or_else(|_| panic!("no seeds: {name}"));
        let mut seeds = 0;
        for input in inputs {
            let path = input.unwrap().path();
            seeds += usize::from(path.extension().is_some_and(|extension| extension == "seed"));
            let data = fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| body(&data));
            assert!(outcome.is_ok(), "{}", path.display());
        }
        assert!(seeds >= 3, "{name} has {seeds} seeds");
        for data in [&[][..], &[0], &[0xff; 400]] {
            body(data);
        }
    }
}

#[test]
fn every_target_can_be_run() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let mut files: Vec<String> = fs::read_dir(targets)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut names: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}
