//! The test vectors that are checked in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use waxwing_testkit::vectors::files;
use waxwing_testkit::vectors::replay::{cases, packets};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

#[test]
fn the_files_are_what_the_generator_writes() {
    for (name, text) in files() {
        let stored = std::fs::read_to_string(dir().join(name)).unwrap();
        let anew = "cargo run -p waxwing-testkit --example vectors";
        assert!(stored == text, "{name} is not what the generator writes; `{anew}`");
    }
}

#[test]
fn the_schema_names_every_file_and_every_kind() {
    let schema = std::fs::read_to_string(dir().join("README.md")).unwrap();
    let kinds = packets::FILES.into_iter().flat_map(cases).map(|case| case["kind"].to_string());
    let names = kinds.map(|kind| kind.trim_matches('"').to_owned()).collect::<BTreeSet<_>>();
    for name in names.into_iter().chain(files().into_iter().map(|(name, _)| name.to_owned())) {
        assert!(schema.contains(&format!("`{name}`")), "{name} is not in the schema");
    }
}

#[test]
fn a_244_names_a_packet_that_stands_in_another_file() {
    let short = cases("session.json").into_iter().find(|case| case["kind"] == "reconnect_short");
    let id = short.unwrap()["packet_id"].take();
    assert!(cases("refusals.json").iter().any(|case| case["fields"]["packet_id"] == id));
}

#[test]
fn every_op_is_there_and_no_two_cases_of_a_file_have_one_name() {
    let ops = packets::FILES.into_iter().flat_map(cases);
    let ops: BTreeSet<_> = ops.map(|case| case["header"]["op_code"].as_u64().unwrap()).collect();
    let all = waxwing_core::wire::Op::ALL.iter().map(|op| u64::from(op.code()));
    assert_eq!(ops, all.collect::<BTreeSet<_>>());
    for (file, _) in files().into_iter().filter(|(file, _)| *file != "keys.json") {
        let mut names = BTreeSet::new();
        for case in cases(file) {
            assert!(names.insert(case["name"].to_string()), "{file}: {} twice", case["name"]);
        }
    }
}
