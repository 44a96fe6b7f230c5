#!/bin/sh
# deb-test.sh: README's first steps with the packages in build/deb on three Debian roots. Root only; the roots'
# base comes from Debian's mirror once and is kept in build/deb-test.
set -eu
top=$(git rev-parse --show-toplevel)
base=$top/build/deb-test/base
[ "$(id -u)" = 0 ] || {
    echo 'deb-test.sh: needs root for roots and network namespaces' >&2
    exit 1
}
ls "$top"/build/deb/atalaia-agent_*.deb >/dev/null 2>&1 || "$top/packaging/deb.sh"
[ -e "$base/ready" ] || {
    rm -rf "$base"
    mkdir -p "${base%/*}"
    debootstrap --variant=minbase bookworm "$base" >"$base.log" 2>&1 || {
        tail -5 "$base.log"
        exit 1
    }
    # What the packages need of Debian; afterwards there is no list of packages, so nothing else can come.
    mkdir "$base/debs"
    cp "$top"/build/deb/atalaia-*.deb "$base/debs"
    chroot "$base" sh -c 'export DEBIAN_FRONTEND=noninteractive; apt-get -qq update &&
        apt-get -y --no-install-recommends install $(cd debs && for d in *.deb; do dpkg-deb -f "$d" Depends; done |
            tr , "\n" | sed "s/ *(.*//; s/|.*//" | grep -v "^ *atalaia" | sort -u) &&
        rm -rf debs /var/lib/apt/lists/* && apt-get clean' >>"$base.log" 2>&1 || {
        tail -5 "$base.log"
        exit 1
    }
    touch "$base/ready"
}
exec /usr/bin/python3 "$top/tests/packages/first_steps.py" "$top/build/deb" "$base"
