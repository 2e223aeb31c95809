#!/bin/bash -eu
# Builds every target with its seeds and its dictionary, as OSS-Fuzz wants them.
for package in core/fuzz fuzz; do
    cd "$SRC/waxwing/$package"
    cargo fuzz build --fuzz-dir . -O --debug-assertions
    for target in fuzz_targets/*.rs; do
        name=$(basename "${target%.rs}")
        cp "target/x86_64-unknown-linux-gnu/release/$name" "$OUT/"
        cp "dictionaries/$name.dict" "$OUT/"
        zip -j -q "$OUT/${name}_seed_corpus.zip" "corpus/$name"/*
    done
done
