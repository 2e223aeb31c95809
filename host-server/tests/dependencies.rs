//! What server and client are built of, as they are released.

use std::process::Command;

/// Every package with its features, one a line.
fn packages() -> String {
    let listed = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none"])
        .args(["--package", "waxwing-server", "--package", "waxwing", "--format", "{p} {f}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout).unwrap()
}

#[test]
fn neither_fixed_keys_nor_a_generator_of_the_tests_is_released() {
    let packages = packages();
    let core: Vec<_> = packages.lines().filter(|line| line.starts_with("waxwing-core ")).collect();
    assert!(!core.is_empty());
    for line in core {
        assert!(!line.contains("testing"), "{line}");
    }
    // What draws numbers draws them from the operating system, or is seeded by it; so does `rand`, with
    // which the driver of PostgreSQL draws what it proves its password with.
    for absent in ["waxwing-testkit ", "proptest ", "fastrand ", "tempfile "] {
        assert!(!packages.lines().any(|line| line.starts_with(absent)), "{absent}");
    }
    assert!(packages.lines().any(|line| line.starts_with("getrandom ")));
}

/// The files of the server's own that use a runtime.
#[test]
fn the_driver_of_postgresql_alone_has_a_runtime() {
    fn look(directory: &std::path::Path, users: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, users);
            } else if std::fs::read_to_string(&path).is_ok_and(|text| text.contains("tokio::")) {
                users.push(path.display().to_string());
            }
        }
    }
    let mut users = Vec::new();
    look(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut users);
    let expected = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/postgres/session.rs");
    assert_eq!(users, [expected]);
}
