# For sourcing, in the repository's root: how to build for processors without an operating system.

# Sets `bare_metal` to the command that builds for a target, and `rustc` to its compiler: with
# rustup's target where it can be had, else with Debian's compiler and sources.
bare_metal() { # TARGET
    rustc=rustc
    if rustup target add "$1"; then
        bare_metal=(cargo build --target "$1")
        return
    fi
    echo "rustup cannot fetch $1; using Debian's rustc-web and rust-web-src"
    rustc=/usr/bin/rustc
    local variable=CARGO_TARGET_${1^^} linker=arm-none-eabi-ld package=gcc-arm-none-eabi flags=
    if [[ $1 == riscv* ]]; then
        linker=riscv64-unknown-elf-ld package=binutils-riscv64-unknown-elf
        flags="-C link-arg=-melf32lriscv"
    fi
    variable=${variable//-/_}
    .ci/install rustc-web cargo-web rust-web-src "$package"
    bare_metal=(
        env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
        "${variable}_LINKER=$linker" "${variable}_RUSTFLAGS=$flags"
        /usr/bin/cargo build -Zbuild-std=core,alloc --target "$1"
    )
}

# The names of all boards.
boards() {
    local folder
    for folder in firmware/boards/*/; do
        basename "$folder"
    done
}

# Chooses a board: `board` is its folder, `target` what it is built for, `images` where its programs
# go; and everything that its `board.sh` sets.
board() { # NAME
    board=firmware/boards/$1
    if ! [ -d "$board" ]; then
        echo "there is no board \"$1\"; there are: $(boards | xargs)" >&2
        return 2
    fi
    images=target/firmware/$1
    target=$(sed -n 's/^target = "\(.*\)"/\1/p' "$board/.cargo/config.toml")
    . "$board/board.sh"
}

# Whether there is a QEMU for the board, now.
board_has_qemu() {
    command -v "${qemu[0]}" >/dev/null || .ci/install "$package"
}

# Whether the board has a feature.
has_feature() { # FEATURE
    grep -q "^$1 = \[" "$board/Cargo.toml"
}

# The features that a program of the board needs: the one with its name, if there is such a one.
features() { # PROGRAM
    if has_feature "$1"; then echo "$1"; fi
}

# Builds a program of the board and copies it to `$images/IMAGE`.
firmware_image() { # IMAGE PROGRAM FEATURES [OPT_LEVEL]
    local directory=$PWD/target/firmware/opt-${4:-s}
    (
        cd "$board"
        CARGO_PROFILE_RELEASE_OPT_LEVEL=${4:-s} "${bare_metal[@]}" --release --locked \
            --bin "$2" --features "$3" --target-dir "$directory"
    )
    mkdir -p "$images"
    cp "$directory/$target/release/$2" "$images/$1"
}

# Prints how many bytes a program takes: of flash, and of static RAM.
sizes() { # PROGRAM
    size -A "$1" | awk '
        /^\.(data|bss|uninit)/ { ram += $2 }
        /^\.(vector_table|text|init|rodata|eh_frame|data|ARM\.exidx)/ { flash += $2 }
        END { print flash, ram }'
}

# Whether an image keeps to the limits of its board.
fits() { # IMAGE
    local bytes
    bytes=($(sizes "$images/$1"))
    echo "$images/$1: ${bytes[0]} bytes of flash, ${bytes[1]} of static RAM"
    if ((bytes[0] > flash * 1024 || bytes[1] > ram * 1024)); then
        echo "more than $flash KiB of flash or $ram KiB of static RAM"
        return 1
    fi
}
