#!/bin/sh
# run.sh SECONDS [NAME]: fuzzes every target (or the one named) with libFuzzer, ASan and UBSan.
# A crash is told with its file's name; put that into tests/fuzz/corpus/NAME and write a golden case.
set -eu
seconds=${1:-60} only=${2:-}
out=build/fuzz
mkdir -p "$out"
flags="-std=c11 -D_GNU_SOURCE -Icommon -Itests/lib -DATALAIA_VERSION=\"fuzz\" -g -O1"
flags="$flags -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
pkgs='libuv libcurl libcjson sqlite3 libzstd libarchive inih libseccomp openssl libsodium zlib'
# shellcheck disable=SC2046,SC2086
make -s -j2 MODE=asan B="$out" CC=clang CFLAGS="-fsanitize=fuzzer-no-link" "$out/libcommon.a"
targets=0 crashed=
for src in tests/fuzz/*/fuzz_*.c; do
    name=$(basename "$src" .c)
    part=$(basename "$(dirname "$src")")
    [ -z "$only" ] || [ "$only" = "$name" ] || continue
    lib= inc=
    if [ "$part" != common ]; then
        case $part in
        fetch | scan) dir=agent/$part ;;
        agent) dir=agent ;;
        *) dir=roles/$part ;;
        esac
        lib=$out/$dir/lib.a inc=-I$dir
        make -s -j2 MODE=asan B="$out" CC=clang CFLAGS="-fsanitize=fuzzer-no-link" "$lib"
    fi
    # shellcheck disable=SC2046,SC2086
    clang $flags -DHAVE_SODIUM $inc -fsanitize=fuzzer -o "$out/$name" "$src" $(ls tests/lib/*.c 2>/dev/null) $lib \
        "$out/libcommon.a" $(pkg-config --cflags --libs $pkgs) \
        -lmbedtls -lmbedx509 -lmbedcrypto -lhttp_parser -lpthread -lm
    mkdir -p "$out/corpus/$name"
    echo "== $name, $seconds s"
    if ! "$out/$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$out/$name-" "$out/corpus/$name" "tests/fuzz/corpus/$name" \
        >"$out/$name.log" 2>&1; then
        tail -40 "$out/$name.log"
        echo "fuzz: $name found something: see $out/$name-*"
        crashed="$crashed $name"
    fi
    grep 'number_of_executed_units' "$out/$name.log"
    targets=$((targets + 1))
done
echo "fuzz: $targets targets, $seconds s each,${crashed:- no target} crashed"
[ -z "$crashed" ]
