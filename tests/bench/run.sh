#!/bin/sh
# run.sh [--quick] [NAME...]: builds the release programs, runs every benchmark (or the named ones) and writes
# build/bench/page.md with the figures, the machine, the peers' versions and SVG plots. Root.
set -eu
packaging/deps.sh build
packaging/deps.sh demo
packaging/deps.sh bench
make -s -j"$(nproc)" MODE=release all
# The installed size is that of the package.
ls build/deb/atalaia-agent_*.deb >/dev/null 2>&1 || { packaging/deps.sh deb && make -s deb >/dev/null; }
exec /usr/bin/python3 tests/bench/page.py "$@"
