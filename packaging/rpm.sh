#!/bin/sh
# rpm.sh: builds the RPM packages from the committed tree into build/rpm and checks what is in them. The lists
# of files are those of packaging/debian, so that both kinds of packages hold the same.
set -eu
top=$(git rev-parse --show-toplevel)
out=$top/build/rpm
version=$(sed -n 's/^VERSION *:= *//p' "$top/Makefile")
rm -rf "$out"
mkdir -p "$out/SOURCES" "$out/SPECS"
git -C "$top" archive --prefix="atalaia-$version/" -o "$out/SOURCES/atalaia-$version.tar.gz" HEAD

# "from [folder]" of an .install file -> path in the package; lib/systemd is below /usr here.
paths() {
    while read -r from to; do
        case $from in
        '') ;;
        *.service) echo "/usr/lib/systemd/system/${from##*/}" ;;
        usr/share/man/*) echo "/$from.gz" ;;
        etc/*) echo "%config(noreplace) /$from" ;;
        *) [ -z "$to" ] && echo "/$from" || echo "/$to/${from##*/}" ;;
        esac
    done <"$1"
}
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
rpmbuild -bb --nodeps --define "_topdir $out" --define "atalaia_version $version" "$out/SPECS/atalaia.spec" \
    >"$out/build.log" 2>&1 || {
    tail -40 "$out/build.log"
    exit 1
}

# Each holds what its list says, and programs that run.
for p in agent update-agent console repo; do
    rpm=$(ls "$out"/RPMS/*/atalaia-"$p"-"$version"-1.*.rpm)
    rpm -qlp "$rpm" >"$out/list-$p"
    paths "$top/packaging/debian/atalaia-$p.install" | sed 's/^%config(noreplace) //' | while read -r path; do
        grep -qx -e "$path" -e "$path/.*" "$out/list-$p" || {
            echo "rpm.sh: atalaia-$p has no $path"
            exit 1
        }
    done
    (mkdir "$out/tree-$p" && cd "$out/tree-$p" && rpm2cpio "$rpm" | cpio -idm --quiet)
    rpm -qp --requires "$rpm" | grep -q 'libc.so.6' || {
        echo "rpm.sh: atalaia-$p names no libraries"
        exit 1
    }
done
rpm -qp --configfiles "$out"/RPMS/*/atalaia-agent-*.rpm | grep -qx /etc/atalaia/agent.conf
for program in agent:sbin/atalaia-agent agent:bin/atalaia update-agent:sbin/atalaia-update-agent \
    console:sbin/atalaia-console repo:bin/atalaia-repo; do
    "$out/tree-${program%%:*}/usr/${program#*:}" --help >/dev/null
done
ls -l "$out"/RPMS/*/*.rpm
echo 'rpm: built, and each package holds what the Debian package holds'
