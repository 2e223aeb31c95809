#!/usr/bin/env bash
# Every check of this project; `./ci.sh --help` says how to run which.
set -euo pipefail
cd "$(dirname "$0")"
. firmware/bare-metal.sh
# From a clean clone everything is built once, and nobody looks at it with a debugger.
if [ "${CI:-}" = true ] || [ ! -d target ]; then
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=none
fi

# Programs that are tested wait more than they compute, for one another and for their time.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}

# What `./ci.sh` alone runs, and continuous integration.
steps=(fmt workflow unit clippy docs tests simulation shards postgres crashes backends python wireshark package_deb features no_std firmware fuzz deny)
# What `./ci.sh quick` runs: a verdict while one works.
quick=(fmt workflow quick_tests)
# What `./ci.sh release` runs besides, before a release. It builds everything anew, more than once.
release=(msrv docs_rs package minimal_versions semver boot_deb)

usage() {
    cat <<END
Usage: ./ci.sh             every check: about 40 minutes on two cores, from a clean clone
       ./ci.sh quick       formatting, lints and the tests of the core: less than 5 minutes
       ./ci.sh release     what a release needs besides: packages, oldest dependencies
       ./ci.sh mutants [BASE]
                           small faults in the lines that have changed since the commit BASE
                           (origin/main if none is named): the tests have to notice each
       ./ci.sh STEP ...    some steps

Steps of ./ci.sh:         ${steps[*]}
Steps of ./ci.sh release: ${release[*]}
END
}

# A subcommand of cargo's is there, or is built now.
installed() { # SUBCOMMAND
    if ! cargo "$1" --version >/dev/null 2>&1; then
        echo "ci.sh: installing cargo-$1"
        cargo install "cargo-$1" --locked --debug --quiet
    fi
}

# What takes minutes to build and does not lie in target/debug. Most tests wait more than they compute, so
# `./ci.sh` does this beside them, after them in priority. What fails here fails again in its step, and is
# reported there.
build_beside() {
    installed deny
    if rustup run nightly rustc --version; then
        installed fuzz
        fuzz/run --build
    fi
    installed deb
    firmware_lints
    firmware/footprint --build
}

step_fmt() { # seconds
    cargo fmt --all --check
}

# The workflow file runs each step in one of its jobs, once, and no other job asks for what does not exist.
step_workflow() { # seconds
    local file=.github/workflows/ci.yml word
    if ! diff <(printf '%s\n' "${steps[@]}" | sort) <(awk '
        $1 == "matrix:" { inside = 1; next }
        inside && $1 == "-" { for (i = 2; i <= NF; i++) print $i; is_list = 1; next }
        is_list { exit }' "$file" | sort); then
        echo "workflow: the matrix of $file is not the list of steps: add what is marked <, and remove or"
        echo "workflow: correct what is marked >, which is no step or stands there twice"
        return 1
    fi
    for word in $(grep -oE '\./ci\.sh( [a-z_]+)+' "$file" | sed 's/.*ci.sh//'); do
        if ! [[ $word =~ ^(quick|release)$ ]] && ! declare -F "step_$word" >/dev/null; then
            echo "workflow: $file runs ./ci.sh $word, and there is no such step"
            return 1
        fi
    done
}

# The unit for systemd: every line of it is known, and it opens no more than it has to.
step_unit() { # seconds
    local file=host-server/packaging/waxwing.service exposure
    if ! systemd-analyze --version >/dev/null 2>&1; then
        echo "unit: SKIPPED: there is no systemd-analyze"
        return
    fi
    mkdir -p target/unit
    # The program is not installed here, and its absence would hide other complaints.
    sed '/^Exec/ s#=/usr/bin/waxwing-server#=/bin/true#' "$file" >target/unit/waxwing.service
    systemd-analyze verify --man=no "$PWD/target/unit/waxwing.service"
    exposure=$(systemd-analyze security --offline=true "$PWD/target/unit/waxwing.service" |
        sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')
    echo "unit: exposure $exposure"
    awk -v exposure="$exposure" 'BEGIN { exit !(exposure != "" && exposure <= 2.0) }'
}

step_clippy() { # 2 minutes from clean
    # Tests of the core turn on all of its features, so this sees everything but the build with
    # the portable backend alone, which the step `backends` makes.
    cargo clippy --workspace --all-targets -- -D warnings
}

step_docs() { # 1 minute
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
}

step_tests() { # 10 minutes from clean
    # Prometheus itself says whether it can read the server's metrics, and tmux what it shows of the full
    # screen. Where they cannot be installed, those tests say that they were skipped.
    local wanted=()
    command -v promtool >/dev/null || wanted+=(prometheus)
    command -v tmux >/dev/null || wanted+=(tmux)
    if [ "${#wanted[@]}" -gt 0 ]; then
        .ci/install "${wanted[@]}" || echo "tests: ${wanted[*]} cannot be installed" >&2
    fi
    cargo test --workspace
}

# Lints of the core, and what most changes break first: the machines, their conversation, the home, the storage.
step_quick_tests() { # 4 minutes from clean, 1 minute later
    cargo clippy -p waxwing-core -p waxwing-transport-mio -p waxwing-sqlite-wal -- -D warnings
    SIM_SEEDS=${SIM_SEEDS:-300} cargo test --workspace --lib --test server --test client --test messenger \
        --test conversation --test vectors --test protocol_vectors --test home --test storage_contract
}

# Several machines in the place of one: those of the core's tests that do not ask for one alone, and
# the real binaries.
step_shards() { # 3 minutes
    local skipped
    # What is about the client or a program beside the server alone, and what `crashes` does with two loops.
    mapfile -t skipped < <(printf -- '--skip=%s::\n' \
        accounts bots chat crashes dumps gateway homes keylog output rpc screen terminal)
    # Of the whole workspace, or cargo would choose other features and build everything again.
    SIM_SHARDS=3 cargo test --workspace --test server
    WAXWING_TEST_LOOPS=2 cargo test --workspace --test end_to_end -- "${skipped[@]}"
}

# Storage in a real PostgreSQL, and servers that share one, also through a pooler. Where these cannot be
# installed, the tests say that they were skipped. `WAXWING_FAILOVERS=1000 ./ci.sh postgres` goes on for longer.
step_postgres() { # 2 minutes; 1 more where PostgreSQL has to be installed
    if ! { compgen -G '/usr/lib/postgresql/*/bin/initdb' && [ -x /usr/sbin/pgbouncer ]; } >/dev/null; then
        .ci/install postgresql pgbouncer iproute2 ||
            echo 'postgres: PostgreSQL or pgbouncer cannot be installed' >&2
    fi
    # Of the whole workspace, as in `shards`.
    cargo test --workspace --test postgres_storage
    cargo test --workspace --test storage_contract postgres
    WAXWING_FAILOVERS=${WAXWING_FAILOVERS:-50} WAXWING_TEST_LOOPS=2 \
        cargo test --workspace --test end_to_end failovers:: -- --nocapture
}

# Power cuts at any call, and SIGKILL at random and at named places while people write.
# `WAXWING_CRASHES=1000 ./ci.sh crashes` goes on for longer.
step_crashes() { # 2 minutes
    WAXWING_POWER_CUTS=${WAXWING_POWER_CUTS:-600} cargo test --workspace --test faults power
    WAXWING_CRASHES=${WAXWING_CRASHES:-50} WAXWING_TEST_LOOPS=2 \
        cargo test --workspace --test end_to_end crashes:: -- --nocapture
}

# A client in another language, written from PROTOCOL.md, against the real server and client.
step_python() { # 1 minute
    cargo build -p waxwing-server -p waxwing
    clients/python/test
}

step_wireshark() { # seconds; 1 minute where tshark has to be installed
    wireshark/test
}

# The packages for Debian, of unoptimised programs: what is in them, and that the server can be installed,
# started, upgraded and purged. It installs cargo-deb and mmdebstrap where they are missing.
step_package_deb() { # 1 minute; 3 more the first time
    if ! command -v dpkg-deb >/dev/null; then
        echo "package_deb: SKIPPED: there is no dpkg-deb, so this is no Debian"
        return
    fi
    host-server/packaging/check
}

# A Debian with systemd as its first process, and the package in it: the service as systemd runs it. It
# installs systemd-container besides.
step_boot_deb() { # 2 minutes
    if ! command -v dpkg-deb >/dev/null; then
        echo "boot_deb: SKIPPED: there is no dpkg-deb, so this is no Debian"
        return
    fi
    host-server/packaging/boot
}

# People, networks, disks and servers of ten thousand seeds: the machines alone, and the server's own
# event handlers and storage; and of half as many, two servers on one database.
# `SIM_SEEDS=5000000 ./ci.sh simulation` runs more of them.
step_simulation() { # 5 minutes, half of it for our own code; the dependencies are optimised already
    SIM_SEEDS=${SIM_SEEDS:-10000} CARGO_PROFILE_DEV_OPT_LEVEL=3 \
        cargo test --workspace --test server --test simulation seeds::
}

# The two crypto backends talk to each other: real binaries, crossed both ways.
step_backends() { # 1 minute
    local portable=$PWD/target/portable
    cargo build -p waxwing-server -p waxwing --no-default-features \
        --features waxwing-server/rustcrypto,waxwing/rustcrypto
    mkdir -p "$portable"
    cp target/debug/waxwing-server target/debug/waxwing "$portable"
    # Of the whole workspace, as in `shards`.
    WAXWING_TEST_CLIENT=$portable/waxwing cargo test --workspace --test end_to_end two_people
    WAXWING_TEST_SERVER=$portable/waxwing-server cargo test --workspace --test end_to_end two_people
}

step_features() { # 1 minute
    # Each feature of the core alone, as a user of the crate would pick it.
    for features in "" server aes-cbc rustcrypto conformance defmt testing; do
        cargo check -p waxwing-core --no-default-features --features "$features"
    done
}

# Wire, envelope, client machine and messenger for processors without an operating system. The
# programs in core/no-alloc use all of them and link only if there is neither std, nor an allocator (rustc
# refuses a program with `alloc` in it that names none), nor a panic that can be reached.
step_no_std() { # 1 minute
    local opt
    bare_metal thumbv7em-none-eabi
    for opt in s 3; do
        CARGO_PROFILE_RELEASE_OPT_LEVEL=$opt "${bare_metal[@]}" --manifest-path core/no-alloc/Cargo.toml \
            --release --target-dir "target/no_std/$opt"
        is_small "$opt" machine 26 2
        is_small "$opt" device 32 3
    done
    # The checks themselves must be able to fail.
    must_not_build server "no global memory allocator"
    must_not_build panic a_panic_is_reachable
    for target in thumbv6m-none-eabi riscv32imc-unknown-none-elf; do
        bare_metal "$target"
        "${bare_metal[@]}" -p waxwing-core --target-dir target/no_std
        "${bare_metal[@]}" -p waxwing-core --features defmt --target-dir target/no_std
    done
}

is_small() { # OPT_LEVEL PROGRAM KIB_OF_FLASH KIB_OF_RAM
    local program=target/no_std/$1/thumbv7em-none-eabi/release/$2
    nm "$program" | grep ' T start$' >/dev/null
    if nm "$program" | grep 'core[0-9]*fmt'; then
        echo "no_std: $2: formatting can be reached"
        return 1
    fi
    size "$program" | awk -v opt="$1" -v name="$2" -v flash="$3" -v ram="$4" 'NR == 2 {
        printf "no_std: %s at opt-level %s: %d bytes of flash, %d of static RAM\n", name, opt, $1 + $2, $2 + $3
        if (opt == "s" && ($1 + $2 > flash * 1024 || $2 + $3 > ram * 1024)) {
            printf "no_std: more than %d KiB of flash or %d KiB of static RAM\n", flash, ram
            exit 1
        }
    }'
}

must_not_build() { # FEATURE MESSAGE
    local log=target/no_std/$1.log
    if "${bare_metal[@]}" --manifest-path core/no-alloc/Cargo.toml --release \
        --target-dir target/no_std/s --features "$1" 2>"$log"; then
        echo "no_std: the check does not notice: $1"
        return 1
    fi
    grep -q "$2" "$log"
}

firmware_lints() {
    local name
    for name in $(boards); do
        board "$name"
        if ! rustup target add "$target"; then
            echo "firmware: clippy for $name SKIPPED: rustup cannot fetch the target $target"
            continue
        fi
        (
            cd "$board"
            cargo clippy --locked --all-features --target-dir ../../../target/firmware/clippy -- -D warnings
        )
    done
}

# Boards in QEMU against the real server and client, and what they take of memory.
step_firmware() { # 7 minutes, 15 without rustup's targets; fewer after build_beside
    local name
    wait # for what is built beside the other steps
    (
        cd firmware
        cargo fmt --all --check
        cargo test --locked -p smoltcp-stream --target-dir ../target/firmware/host
    )
    firmware_lints
    for name in $(boards); do
        board "$name"
        if board_has_qemu; then
            firmware/run "$name"
        else
            echo "firmware: $name SKIPPED: there is no ${qemu[0]}, and the package $package cannot be installed"
        fi
    done
    firmware/footprint --check
}

# Where fuzz targets are: those for what is read without a machine, which build in a minute, and those
# for all else.
fuzz_packages=(core/fuzz fuzz)
# Each target from its seeds, and the seeds on the stable compiler. `FUZZ_SECONDS=900 ./ci.sh fuzz`
# fuzzes for longer.
step_fuzz() { # 7 minutes: 6 for the builds, fewer after build_beside, and 1 for fuzzing with two at a time
    local stable package
    # That of the project, not of the folder, which names another.
    stable=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    for package in "${fuzz_packages[@]}"; do
        cargo +"$stable" test --manifest-path "$package/Cargo.toml" --target-dir target
    done
    if python3 -m venv --help >/dev/null 2>&1; then
        fuzz/differential --inputs 20000
    else
        echo "fuzz: the Python decoder SKIPPED: there is no python3 with venv"
    fi
    if ! rustup run nightly rustc --version; then
        echo "fuzz: fuzzing SKIPPED: there is no nightly toolchain, and the fuzzer needs its sanitizers"
        return
    fi
    wait # for what is built beside the other steps
    installed fuzz
    fuzz/run --build
    for package in "${fuzz_packages[@]}"; do
        cargo +nightly fuzz list --fuzz-dir "$package"
    done | xargs -P 2 -I '{}' ./ci.sh fuzz_one '{}'
}

step_fuzz_one() { # TARGET
    local log=target/fuzz-$1.log
    if ! fuzz/run --asan "$1" -timeout=20 -max_total_time="${FUZZ_SECONDS:-3}" -print_final_stats=1 \
        >"$log" 2>&1; then
        tail -n 60 "$log"
        return 1
    fi
    grep -E '^#[0-9]+.*DONE' "$log" | tail -n 1 | sed "s/^/fuzz: $1: /"
}

step_deny() { # seconds; 1 minute the first time, for building cargo-deny
    wait # for what is built beside the other steps
    installed deny
    cargo deny check bans licenses sources
    cargo deny --manifest-path firmware/Cargo.toml --config deny.toml check bans licenses sources
    if ! cargo deny check advisories; then
        if cargo deny fetch db >/dev/null 2>&1; then
            return 1
        fi
        echo "deny: advisories SKIPPED: the advisory database cannot be fetched here"
    fi
}

# Each library with the oldest compiler that its Cargo.toml promises, and all of its features. The
# programs promise the compiler that every step uses.
step_msrv() { # 2 minutes
    local folder promised used
    promised=$(promised Cargo.toml)
    used=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    if [ "$promised" != "${used%.0}" ]; then
        echo "msrv: Cargo.toml promises $promised for the programs, and rust-toolchain.toml builds with $used"
        return 1
    fi
    for folder in core crypto-aws-lc transport-mio sqlite-wal; do
        promised=$(promised "$folder/Cargo.toml")
        if ! rustup run "$promised" rustc --version && ! rustup toolchain install "$promised" --profile minimal; then
            echo "msrv: $folder SKIPPED: rustup cannot fetch the toolchain $promised"
            continue
        fi
        cargo +"$promised" check --locked --all-features --manifest-path "$folder/Cargo.toml" \
            --target-dir target/msrv
    done
}

promised() { # FILE
    sed -n 's/^rust-version = "\(.*\)"/\1/p' "$1"
}

# The core's documentation as docs.rs builds it: with what Cargo.toml names for it, and a word at each
# item about the feature that it needs.
step_docs_rs() { # 1 minute
    local features
    features=$(sed -n '/^\[package.metadata.docs.rs\]/,/^$/ s/^features = //p' core/Cargo.toml | tr -d '[]" ')
    if ! rustup run nightly rustc --version; then
        echo "docs_rs: SKIPPED: there is no nightly toolchain, and docs.rs uses one"
        return
    fi
    RUSTDOCFLAGS="--cfg docsrs -D warnings" cargo +nightly doc --no-deps -p waxwing-core \
        --features "$features" --target-dir target/docs_rs
    grep -q 'Available on .*crate feature.*conformance' \
        target/docs_rs/doc/waxwing_core/crypto/conformance/index.html
}

# Each crate as it would be published, built from its package alone. Commit first.
published=(waxwing-core waxwing-aws-lc waxwing-sqlite-wal waxwing-transport-mio waxwing-server waxwing)
step_package() { # 2 minutes from clean
    local crate selected=()
    for crate in "${published[@]}"; do
        selected+=(-p "$crate")
        for file in README.md LICENSE-MIT LICENSE-APACHE; do
            cargo package --list -p "$crate" | grep -x "$file" >/dev/null || {
                echo "package: $crate has no $file"
                return 1
            }
        done
    done
    cargo package "${selected[@]}"
}

# The workspace with the oldest version of each dependency that Cargo.toml allows.
step_minimal_versions() { # 1 minute
    local tree=target/minimal-versions/tree stable
    stable=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    if ! rustup run nightly rustc --version; then
        echo "minimal_versions: SKIPPED: there is no nightly toolchain, and only it can choose them"
        return
    fi
    rm -rf "$tree"
    mkdir -p "$tree"
    git archive HEAD | tar -x -C "$tree"
    (
        cd "$tree"
        rm Cargo.lock
        cargo +nightly generate-lockfile -Z direct-minimal-versions
        cargo +"$stable" check --workspace --target-dir ../target
    )
}

step_semver() { # seconds
    echo "semver: SKIPPED: nothing has been published yet, so there is no API to compare with"
}

# Changes one place at a time in the lines that the commits since BASE have changed, and runs the
# tests on it. Of which files, .cargo/mutants.toml says.
step_mutants() { # BASE; 5 minutes for the first build, then 1 minute for each mutant
    local base tree=target/mutants/tree tests=(--lib)
    if ! base=$(git merge-base HEAD "${1:-origin/main}"); then
        echo "mutants: there is no commit ${1:-origin/main}; name the one before your change,"
        echo "mutants: as in ./ci.sh mutants HEAD~1"
        return 1
    fi
    installed mutants
    # A clone, so that no mutant ever stands in the files that somebody works on. It is kept, since
    # checking out leaves files alone that are the same, and cargo then builds little.
    [ -d "$tree" ] || git clone --quiet --shared . "$tree"
    git -C "$tree" fetch --quiet origin HEAD
    git -C "$tree" checkout --quiet --force --detach FETCH_HEAD
    git diff "$base" HEAD >target/mutants/changes.diff
    export SIM_SEEDS=${SIM_SEEDS:-300} CARGO_TARGET_DIR=$PWD/target/mutants/target
    tests+=(--test={vectors,protocol_vectors,envelope,secrets_do_not_leak})
    tests+=(--test={client,conversation,messenger,server})
    tests+=(--test={storage_contract,sqlite_storage,statements,damaged_letters,lost_files,salvage})
    # Without a mutant they have to pass, or a failure would say nothing. cargo-mutants would try that
    # with the changed packages alone, for which cargo chooses other features and builds everything.
    (cd "$tree" && cargo test --quiet --workspace "${tests[@]}")
    cargo mutants --dir "$tree" --in-place --in-diff target/mutants/changes.diff \
        --output target/mutants --baseline skip --timeout 900 --test-workspace true \
        "${tests[@]/#/--cargo-arg=}"
}

if [ "${1:-}" = fuzz_one ]; then
    step_fuzz_one "$2"
    exit
fi
if [ "${1:-}" = build_beside ]; then
    build_beside
    exit
fi
if [ "${1:-}" = mutants ]; then
    step_mutants "${2:-}"
    exit
fi
case "${1:-}" in
    -h | --help)
        usage
        exit
        ;;
    quick) selected=("${quick[@]}" "${@:2}") ;;
    release) selected=("${release[@]}" "${@:2}") ;;
    "") selected=("${steps[@]}") ;;
    *) selected=("$@") ;;
esac
for step in "${selected[@]}"; do
    if ! declare -F "step_$step" >/dev/null; then
        echo "ci.sh: there is no step \"$step\"" >&2
        usage >&2
        exit 2
    fi
done
if [ $# -eq 0 ]; then
    mkdir -p target
    setsid nice ./ci.sh build_beside >target/build_beside.log 2>&1 &
    beside=$!
    # With all processes that it has begun.
    trap 'kill -- -"$beside" 2>/dev/null || true' EXIT
fi
for step in "${selected[@]}"; do
    started=$SECONDS
    echo "== $step"
    "step_$step"
    echo "== $step: ok ($((SECONDS - started)) s)"
done
