#!/bin/sh
# rpm.sh: builds the RPM packages from the committed tree into build/rpm and checks what is in them. The lists
# of files are those of packaging/debian, so that both kinds of packages hold the same.
set -eu
top=$(git rev-parse --show-toplevel)
out=$top/build/rpm
version=$(sed -n 's/^VERSION *:= *//p' "$top/Makefile")
rm -rf "$out"
mkdir -p "$out/SOURCES" "$out/SPECS"
make -s -C "$top" web
git -C "$top" archive --prefix="atalaia-$version/" -o "$out/SOURCES/atalaia-$version.tar.gz" HEAD

# shellcheck source=/dev/null
. "$top/packaging/rpm/paths.sh"
cp "$top/packaging/rpm/atalaia.spec" "$out/SPECS/"
for p in agent update-agent console repo; do
    printf '\n%%files -n atalaia-%s\n%%defattr(-,root,root)\n' "$p"
    paths "$top/packaging/debian/atalaia-$p.install"
done >>"$out/SPECS/atalaia.spec"
# Lines with a second word put the file into another folder.
moves=$(cat "$top"/packaging/debian/*.install | awk '$2 != "" && $1 !~ /\.service$/ {
    n = split($1, a, "/"); printf "mkdir -p %%{buildroot}/%s; mv %%{buildroot}/%s %%{buildroot}/%s/%s\n", $2, $1, $2, a[n] }')
awk -v moves="$moves" '/^gzip -9n/ { print; print moves; next } { print }' "$out/SPECS/atalaia.spec" >"$out/SPECS/full" &&
    mv "$out/SPECS/full" "$out/SPECS/atalaia.spec"
rpmbuild -bb --nodeps --define "_topdir $out" --define "atalaia_version $version" --define "atalaia_web $top/build/web" "$out/SPECS/atalaia.spec" \
    >"$out/build.log" 2>&1 || {
    tail -40 "$out/build.log"
    exit 1
}

"$top/packaging/check-rpm.sh" "$out"
