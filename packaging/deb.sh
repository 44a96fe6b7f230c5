#!/bin/sh
# deb.sh: builds the Debian packages from the committed tree into build/deb and runs lintian on them.
set -eu
top=$(git rev-parse --show-toplevel)
out=$top/build/deb
rm -rf "$out"
mkdir -p "$out/atalaia"
git -C "$top" archive HEAD | tar -x -C "$out/atalaia"
make -s -C "$top" web
cp -R "$out/atalaia/packaging/debian" "$out/atalaia/debian"
cp -R "$top/build/web" "$out/atalaia/debian/web"
cd "$out/atalaia"
dpkg-buildpackage -us -uc -b >"$out/build.log" 2>&1 || {
    tail -40 "$out/build.log"
    exit 1
}
cd "$out"
lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs ./*.changes
ls -l ./*.deb
"$top/packaging/check-deb.sh" "$out"
