#!/bin/sh
# lab.sh [--short]: three hosts on a bad line, in network namespaces; see lab.py. Needs root.
set -eu
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || {
    echo "lab: needs root, for network namespaces; run: sudo make lab" >&2
    exit 2
}
packaging/deps.sh test
make -s MODE=release all build/release/tests/torture/wanemu
exec "${PYTHON:-/usr/bin/python3}" tests/torture/lab.py build/release "$@"
