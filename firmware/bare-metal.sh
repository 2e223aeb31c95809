# For sourcing: how to build for processors without an operating system.

# Sets `bare_metal` to the command that builds for a target, and `rustc` to its compiler: with
# rustup's target where it can be had, else with Debian's compiler and sources.
bare_metal() { # TARGET
    rustc=rustc
    if rustup target add "$1"; then
        bare_metal=(cargo build --target "$1")
        return
    fi
    echo "rustup cannot fetch $1; using Debian's rustc-web and rust-web-src"
    install_debian rustc-web cargo-web rust-web-src gcc-arm-none-eabi
    rustc=/usr/bin/rustc
    bare_metal=(
        env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
        CARGO_TARGET_THUMBV7EM_NONE_EABI_LINKER=arm-none-eabi-ld
        /usr/bin/cargo build -Zbuild-std=core,alloc --target "$1"
    )
}

install_debian() { # PACKAGE …
    dpkg -s "$@" >/dev/null 2>&1 && return
    echo "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Builds a program of the firmware and copies it to `target/firmware/NAME`.
firmware_image() { # NAME PROGRAM FEATURES [OPT_LEVEL]
    local directory=$PWD/target/firmware/opt-${4:-s}
    (
        cd firmware
        CARGO_PROFILE_RELEASE_OPT_LEVEL=${4:-s} "${bare_metal[@]}" --release --locked \
            --bin "$2" --features "$3" --target-dir "$directory"
    )
    cp "$directory/thumbv7em-none-eabi/release/$2" "target/firmware/$1"
}
