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
    // What draws numbers draws them from the operating system, or is seeded by it.
    for absent in ["waxwing-testkit ", "proptest ", "rand ", "fastrand ", "tempfile "] {
        assert!(!packages.lines().any(|line| line.starts_with(absent)), "{absent}");
    }
    assert!(packages.lines().any(|line| line.starts_with("getrandom ")));
}
