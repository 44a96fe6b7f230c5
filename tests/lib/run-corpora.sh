#!/bin/sh
# run-corpora.sh BUILD FUZZER...: replays tests/fuzz/corpus/NAME through each fuzz target built without clang.
set -u
build=$1
shift
failed=0 targets=0
for t in "$@"; do
    name=${t##*/}
    corpus=tests/fuzz/corpus/$name
    targets=$((targets + 1))
    if [ ! -d "$corpus" ] || [ -z "$(ls -A "$corpus")" ]; then
        echo "corpus $name: tests/fuzz/corpus/$name is missing or empty; every target has seeds"
        failed=$((failed + 1))
    elif ! timeout 120 "$t" "$corpus"; then
        echo "corpus $name: FAILED"
        failed=$((failed + 1))
    fi
done
echo "corpus: $targets targets, $failed failed"
[ "$failed" = 0 ]
