//! The walls between the components of the server machine: who may import whom, what is visible
//! where, and how long the file is that shows the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module path below `server`; the empty one is `server/mod.rs`.
type Module = Vec<String>;

/// The files of the server machine, by their modules, without comments, strings and tests.
struct Sources(BTreeMap<Module, String>);

impl Sources {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server");
        let mut files = BTreeMap::new();
        let mut folders = vec![(root, Module::new())];
        while let Some((folder, module)) = folders.pop() {
            let entries = fs::read_dir(&folder).unwrap();
            for path in entries.map(|entry| entry.unwrap().path()).collect::<Vec<PathBuf>>() {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    folders.push((path, [&module[..], &[name]].concat()));
                } else {
                    let file = if name == "mod" { vec![] } else { vec![name] };
                    let text = fs::read_to_string(&path).unwrap();
                    files.insert([&module[..], &file].concat(), code_of(&text));
                }
            }
        }
        Self(files)
    }

    /// Which files each file names something of, whatever way it is written.
    fn imports(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        let imports = |module: &Module, text: &str| {
            let named = paths(text).into_iter().filter_map(|path| self.resolve(module, &path));
            named.filter(|other| *other != module).collect()
        };
        self.0.iter().map(|(module, text)| (module, imports(module, text))).collect()
    }

    /// The file that a path leads to, seen from a module: the longest part that names one.
    fn resolve(&self, from: &Module, path: &[String]) -> Option<&Module> {
        let (mut at, mut rest) = (from.clone(), path);
        match rest.first()?.as_str() {
            "crate" => {
                at = Module::new();
                rest = rest.strip_prefix(&["crate".to_owned(), "server".to_owned()][..])?;
            }
            "self" => rest = &rest[1..],
            "super" => {
                while let Some(("super", deeper)) = rest.split_first().map(|(s, d)| (s.as_str(), d))
                {
                    at.pop()?;
                    rest = deeper;
                }
            }
            // A child of this module, or nothing of the server's.
            child => {
                let child = [&at[..], &[child.to_owned()]].concat();
                self.0.get(&child)?;
            }
        }
        for name in rest {
            let deeper = [&at[..], std::slice::from_ref(name)].concat();
            if !self.0.contains_key(&deeper) {
                break;
            }
            at = deeper;
        }
        self.0.get_key_value(&at).map(|(module, _)| module)
    }
}

/// Without comments, the contents of strings, and the unit tests at the end.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let without_comments = code.lines().map(|line| line.split("//").next().unwrap());
    let code = without_comments.collect::<Vec<_>>().join("\n");
    let code: String = code.split('"').step_by(2).collect();
    code.replace("pub(in crate::server)", "pub")
}

/// All paths of more than one name in some code, with those of `use` taken apart.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut open: Vec<Vec<String>> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut rest = code;
    let end = |path: &mut Vec<String>, open: &[Vec<String>], found: &mut Vec<Vec<String>>| {
        let whole = [open.concat(), std::mem::take(path)].concat();
        if whole.len() > 1 {
            found.push(whole);
        }
    };
    while let Some(first) = rest.chars().next() {
        let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
        let len = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        if len > 0 {
            path.push(rest[..len].to_owned());
            rest = &rest[len..];
            if let Some(deeper) = rest.strip_prefix("::") {
                rest = deeper;
                if let Some(inside) = rest.strip_prefix('{') {
                    open.push(std::mem::take(&mut path));
                    rest = inside;
                }
            } else {
                end(&mut path, &open, &mut found);
            }
            continue;
        }
        path.clear();
        match first {
            '}' if !open.is_empty() => {
                open.pop();
            }
            _ => {}
        }
        rest = &rest[first.len_utf8()..];
    }
    found
}

fn name(module: &Module) -> String {
    if module.is_empty() { "mod".to_owned() } else { module.join("/") }
}

/// From each file, all that it imports, and all that those import, and so on.
fn reached<'m>(
    imports: &BTreeMap<&'m Module, BTreeSet<&'m Module>>,
) -> BTreeMap<&'m Module, BTreeSet<&'m Module>> {
    let reach = |from: &'m Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            next.extend(imports[module].iter().copied().filter(|other| seen.insert(*other)));
        }
        seen
    };
    imports.keys().map(|module| (*module, reach(module))).collect()
}

#[test]
fn imports_are_read_in_every_form() {
    let code = code_of(
        "use super::{a::{B, c}, d};\nuse crate::server::e::F; // use super::g;\nlet x = super::super::h::I { j: \"k::l\" };",
    );
    let paths: Vec<_> = paths(&code).into_iter().map(|path| path.join("::")).collect();
    let expected =
        ["super::a::B", "super::a::c", "super::d", "crate::server::e::F", "super::super::h::I"];
    assert_eq!(paths, expected);
    let sources = Sources::read();
    let imports = sources.imports();
    let knows = |from: &[&str], to: &[&str]| {
        let module = |path: &[&str]| path.iter().map(|s| (*s).to_owned()).collect::<Module>();
        imports[&module(from)].contains(&module(to))
    };
    assert!(knows(&[], &["router"]));
    assert!(knows(&["router"], &["gate"]));
    assert!(knows(&["gate"], &["gate", "connection"]));
    assert!(knows(&["delivery", "in_hand"], &["delivery", "letter"]));
    assert!(knows(&["sessions", "answers"], &["limiter"]));
    assert!(!knows(&["delivery"], &["gate"]));
}

#[test]
fn no_more_than_two_files_import_each_other() {
    let sources = Sources::read();
    let reached = reached(&sources.imports());
    for (module, reach) in &reached {
        let circle = reach.iter().filter(|other| reached[**other].contains(*module));
        let circle: Vec<_> = circle.map(|other| name(other)).collect();
        assert!(circle.len() <= 2, "these import each other: {circle:?}");
    }
}

/// The components, and what they may know of each other.
const COMPONENTS: [(&str, &[&str]); 7] = [
    ("gate", &[]),
    ("registrar", &[]),
    ("accounts", &[]),
    ("sessions", &["accounts"]),
    ("submission", &[]),
    ("delivery", &[]),
    ("administration", &[]),
];

#[test]
fn components_know_no_other() {
    let sources = Sources::read();
    for (module, imports) in sources.imports() {
        let Some((component, may_know)) =
            COMPONENTS.iter().find(|(component, _)| module.first().is_some_and(|m| m == component))
        else {
            continue;
        };
        for import in imports {
            let other =
                COMPONENTS.iter().find(|(other, _)| import.first().is_some_and(|i| i == other));
            let may = other.is_none_or(|(other, _)| other == component || may_know.contains(other));
            assert!(may, "{} imports {}", name(module), name(import));
            assert!(!["router", ""].contains(&import.join("/").as_str()), "{}", name(module));
        }
    }
    let folders =
        sources.0.keys().filter(|module| module.len() == 2).map(|module| module[0].clone());
    let components: BTreeSet<_> =
        COMPONENTS.iter().map(|(component, _)| (*component).to_owned()).collect();
    assert_eq!(folders.collect::<BTreeSet<_>>(), components);
}

#[test]
fn a_components_fields_are_seen_in_its_folder_alone() {
    for (module, text) in &Sources::read().0 {
        let [component, file @ ..] = &module[..] else { continue };
        if COMPONENTS.iter().all(|(name, _)| name != component) {
            continue;
        }
        // A field stands in a line of its own, with a comma at its end.
        let fields = text.lines().map(str::trim).filter(|line| line.ends_with(','));
        for field in fields.filter(|line| line.starts_with("pub") && line.contains(": ")) {
            let is_walled = !file.is_empty() && field.starts_with("pub(super) ");
            let is_for_tests = file == ["audit"];
            assert!(is_walled || is_for_tests, "{}: {field}", name(module));
        }
    }
}

#[test]
fn one_short_file_is_the_server() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/mod.rs");
    let lines = fs::read_to_string(root).unwrap().lines().count();
    assert!(lines < 220, "mod.rs has {lines} lines");
    for (module, text) in &Sources::read().0 {
        let words: Vec<_> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        if !module.is_empty() {
            assert!(!words.contains(&"Server"), "{} names the server", name(module));
        }
    }
}

/// The files through which a letter passes, in the order of its way.
const WAY_OF_A_LETTER: [&str; 8] = [
    "gate",
    "router",
    "submission",
    "mail",
    "delivery",
    "delivery/mailbox",
    "delivery/window",
    "delivery/in_hand",
];

#[test]
fn a_letter_goes_one_way_through_few_files() {
    let sources = Sources::read();
    let holds_one = |text: &str| {
        let words: BTreeSet<_> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        words.contains("PendingLetter")
            || paths(text).iter().any(|path| {
                path.ends_with(&["Message".to_owned(), "Letter".to_owned()])
                    || path.ends_with(&["mail".to_owned(), "Letter".to_owned()])
            })
    };
    let holders =
        sources.0.iter().filter(|(_, text)| holds_one(text)).map(|(module, _)| name(module));
    // The contract with storage says what a stored letter is, and nothing passes through it.
    let holders: BTreeSet<_> = holders.filter(|file| file != "storage").collect();
    let way: BTreeSet<_> = WAY_OF_A_LETTER.iter().map(|file| (*file).to_owned()).collect();
    assert!(holders.is_subset(&way), "{holders:?}");
    // Nobody hands one back: who comes later on the way knows nobody who comes earlier, but for the
    // router, which hands them on, and the mail, in which they lie.
    let imports = sources.imports();
    for (at, later) in WAY_OF_A_LETTER.iter().enumerate().filter(|(_, later)| **later != "router") {
        let of = |file: &str| sources.0.keys().find(|module| name(module) == file).unwrap();
        for earlier in WAY_OF_A_LETTER[..at].iter().filter(|earlier| **earlier != "mail") {
            assert!(!imports[of(later)].contains(of(earlier)), "{later} imports {earlier}");
        }
    }
}
