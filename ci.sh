#!/usr/bin/env bash
# Every check of this project. `./ci.sh` runs all of them; `./ci.sh NAME …` runs some.
# Budget on two cores, from a clean clone: 25 minutes in all.
set -euo pipefail
cd "$(dirname "$0")"

steps=(fmt clippy docs tests backends features no_std deny)

step_fmt() { # seconds
    cargo fmt --all --check
}

step_clippy() { # 5 minutes from clean
    # Tests of the core turn on all of its features, so this sees everything but the build with
    # the portable backend alone, which the step `backends` makes.
    cargo clippy --workspace --all-targets -- -D warnings
}

step_docs() { # 1 minute
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
}

step_tests() { # 8 minutes from clean
    cargo test --workspace
}

# The two crypto backends talk to each other: real binaries, crossed both ways.
step_backends() { # 4 minutes
    local portable=$PWD/target/portable
    cargo build -p waxwing-server -p waxwing --no-default-features \
        --features waxwing-server/rustcrypto,waxwing/rustcrypto
    mkdir -p "$portable"
    cp target/debug/waxwing-server target/debug/waxwing "$portable"
    WAXWING_TEST_CLIENT=$portable/waxwing cargo test -p waxwing --test end_to_end two_people
    WAXWING_TEST_SERVER=$portable/waxwing-server cargo test -p waxwing --test end_to_end two_people
}

step_features() { # 1 minute
    # Each feature of the core alone, as a user of the crate would pick it.
    for features in "" server aes-cbc rustcrypto testing; do
        cargo check -p waxwing-core --no-default-features --features "$features"
    done
}

# Wire, envelope and client machine must build where there is neither std nor an allocator: the
# target has no std, and rustc refuses to finish a program that has `alloc` anywhere in it and
# names no allocator.
step_no_std() { # 2 minutes
    local target=thumbv7em-none-eabi
    local build=(cargo build)
    if ! rustup target add "$target"; then
        echo "no_std: rustup cannot fetch $target; using Debian's rustc-web and rust-web-src"
        install_debian rustc-web cargo-web rust-web-src gcc-arm-none-eabi
        build=(env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo build -Zbuild-std=core,alloc)
    fi
    build+=(--manifest-path core/no-alloc/Cargo.toml --release --target "$target" --target-dir target/no_std)
    "${build[@]}"
    # The check itself must be able to fail: the server machine needs an allocator.
    if "${build[@]}" --features server 2>target/no_std/server.log; then
        echo "no_std: the check does not notice an allocator"
        return 1
    fi
    grep -q "no global memory allocator" target/no_std/server.log
}

install_debian() {
    dpkg -s "$@" >/dev/null 2>&1 && return
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

step_deny() { # 4 minutes the first time, for building cargo-deny
    if ! cargo deny --version >/dev/null 2>&1; then
        echo "deny: installing cargo-deny"
        cargo install cargo-deny --locked --debug --quiet
    fi
    cargo deny check bans licenses sources
    if ! cargo deny check advisories; then
        if cargo deny fetch db >/dev/null 2>&1; then
            return 1
        fi
        echo "deny: advisories SKIPPED: the advisory database cannot be fetched here"
    fi
}

for step in "${@:-${steps[@]}}"; do
    started=$SECONDS
    echo "== $step"
    "step_$step"
    echo "== $step: ok ($((SECONDS - started)) s)"
done
