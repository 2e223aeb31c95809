#!/bin/bash -eu
# Copyright 2026 The Waxwing maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
#
################################################################################

# Builds every target, with its seeds, its dictionary and its options.
for package in core/fuzz fuzz; do
    cd "$SRC/waxwing/$package"
    # As `fuzz/run` does, which says why.
    flags=()
    [ "$package" = core/fuzz ] || flags=(--no-trace-compares)
    cargo fuzz build -O --debug-assertions "${flags[@]}"
    for target in $(cargo fuzz list); do
        cp "target/x86_64-unknown-linux-gnu/release/$target" "dictionaries/$target.dict" \
            "options/$target.options" "$OUT/"
        zip -j -q "$OUT/${target}_seed_corpus.zip" "seeds/$target"/*
    done
done
