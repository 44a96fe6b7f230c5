#!/bin/sh
# promtool.sh: Debian's promtool into build/tools, out of its package, without installing the service that comes
# with it. Where there is none, tests go on without.
set -eu
tools=$(git rev-parse --show-toplevel 2>/dev/null || pwd)/build/tools
command -v promtool >/dev/null && exit 0
[ ! -x "$tools/promtool" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
cd "$work"
chmod 755 .
apt-get -qq download prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb . || {
    echo 'promtool.sh: no promtool here; rules and metrics are checked without it'
    exit 0
}
mkdir -p "$tools"
mv usr/bin/promtool "$tools/"
