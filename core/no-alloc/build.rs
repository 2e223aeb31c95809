//! How the program is linked: it begins at `start`, and what that does not reach is left out.

/// The functions of the board, which get an address and no code.
const BOARD: [&str; 19] = [
    "now", "sleep", "load", "show", "command", "random", "ready", "read", "write", "hash",
    "digest", "parse", "spki", "verify", "sign", "seal", "open", "encrypt", "decrypt",
];

fn main() {
    for argument in ["--entry=start", "--gc-sections"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    for function in BOARD {
        println!("cargo::rustc-link-arg-bins=--defsym=board_{function}=0x10000");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
