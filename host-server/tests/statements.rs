//! SQL is made of constants: what comes from elsewhere is bound to a statement, never part of it.

use std::fs;
use std::path::{Path, PathBuf};

const KEYWORDS: [&str; 8] =
    ["SELECT", "INSERT", "UPDATE ", "DELETE", "PRAGMA", "WHERE", "ORDER BY", "ATTACH"];

/// What stands in statements besides constants, and where. The name of a table can never be bound, and several
/// statements in one message have nothing bound to them. These are numbers, names of servers, our own tables and
/// columns, places of parameters such as `$1`, and what is made of such things: nothing that somebody sent.
const HARMLESS: [(&str, &[&str]); 8] = [
    ("home/deletion.rs", &["which", "clause"]),
    ("letters/quota.rs", &["of", "is_seen", "which"]),
    (
        "store/postgres/adopting.rs",
        &["begin", "epoch", "adopted", "to_rest", "rest_from", "now", "missing_until"],
    ),
    ("store/postgres/moving.rs", &["epoch", "node", "name", "names", "order", "marks", "place"]),
    (
        "store/postgres/server.rs",
        &[
            "begin",
            "epoch",
            "last_epoch",
            "group",
            "node",
            "instance",
            "holder",
            "lacks",
            "asker",
            "recipients",
            "message_ids",
        ],
    ),
    ("store/postgres/session.rs", &["patience", "since", "seconds", "millis"]),
    ("store/postgres/statement.rs", &["columns", "select"]),
    ("store/sqlite/moving.rs", &["name", "names", "order", "marks"]),
];

/// Every source file below a directory.
fn sources(below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

/// What stands in `format!(…)`, `concat!` excepted, since it takes constants alone.
fn formatted(source: &str) -> impl Iterator<Item = &str> {
    source.split("format!(").skip(1).map(|rest| {
        let mut depth = 1;
        let end = rest.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        });
        &rest[..end.map_or(rest.len(), |(at, _)| at)]
    })
}

/// Statements into which something is written that may not be a constant.
fn made_up<'s>(source: &'s str, harmless: &[&str]) -> Vec<&'s str> {
    // Unit tests may ask as they like.
    let source = source.split("#[cfg(test)]").next().unwrap();
    let is_constant = |name: &str| {
        let last = name.rsplit("::").next().unwrap_or_default();
        last.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            || source.contains(&format!("{name}: &'static str"))
    };
    let is_sql = |text: &&str| KEYWORDS.iter().any(|keyword| text.contains(keyword));
    let is_harmless = |name: &str| is_constant(name) || harmless.contains(&name);
    formatted(source).filter(is_sql).filter(|text| !written_in(text).all(is_harmless)).collect()
}

/// The names that a `format!` writes into its text, in braces or behind it.
fn written_in(text: &str) -> impl Iterator<Item = &str> {
    let (text, behind) = text.rsplit_once('"').unwrap_or((text, ""));
    let in_braces = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    in_braces.map(|(name, _)| name).chain(behind.split(',').map(str::trim))
}

#[test]
fn no_statement_is_made_of_what_somebody_sent() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut statements = 0;
    for directory in ["host-server/src", "client/src"] {
        for path in sources(&packages.join(directory)) {
            let source = fs::read_to_string(&path).unwrap();
            let harmless = HARMLESS.iter().find(|(file, _)| path.ends_with(file));
            let harmless = harmless.map_or(&[][..], |(_, names)| names);
            assert_eq!(made_up(&source, harmless), [""; 0], "in {}", path.display());
            statements += formatted(&source).filter(|text| text.contains("SELECT")).count();
        }
    }
    assert!(statements > 3, "the search has lost what it looks at");
}

#[test]
fn the_search_finds_what_would_be_an_injection() {
    for bad in [
        r#"let sql = format!("SELECT * FROM users WHERE phone = '{phone}'");"#,
        r#"format!("DELETE FROM users WHERE id = {}", id.get())"#,
        r#"fn f(which: &str) { format!("SELECT {COLUMNS} FROM x {which}") }"#,
    ] {
        assert_eq!(made_up(bad, &[]).len(), 1, "{bad}");
    }
    let good = r#"fn f(which: &'static str) { format!("{SELECT} WHERE x = ? {which}") }"#;
    assert_eq!(made_up(good, &[]), [""; 0]);
    let two = r#"format!("UPDATE lease SET epoch = {epoch}, name = '{name}'")"#;
    assert_eq!((made_up(two, &["epoch"]).len(), made_up(two, &["epoch", "name"]).len()), (1, 0));
}
