#!/bin/sh
# check-rpm.sh FOLDER: each RPM package below FOLDER/RPMS holds what the list of its Debian twin says, and its programs run.
set -eu
top=$(git rev-parse --show-toplevel)
out=$(cd "$1" && pwd)
version=$(sed -n 's/^VERSION *:= *//p' "$top/Makefile")
# shellcheck source=/dev/null
. "$top/packaging/rpm/paths.sh"

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
    rm -rf "$out/tree-$p"
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

# Installed by rpm itself into a root of its own, without scripts (there is no shell in it) and without the
# dependencies that only a distribution of RPMs provides: files, owners and modes are as rpm makes them.
root=$out/root
rm -rf "$root"
mkdir "$root"
rpm --root "$root" --initdb
rpm --root "$root" -i --nodeps --noscripts --nosignature "$out"/RPMS/*/atalaia-*-"$version"-1.*.rpm 2>"$out/install.log" || {
    cat "$out/install.log"
    exit 1
}
[ "$(rpm --root "$root" -qa | grep -c '^atalaia-')" -ge 4 ]
for program in sbin/atalaia-agent bin/atalaia sbin/atalaia-update-agent sbin/atalaia-console bin/atalaia-repo; do
    "$root/usr/$program" --version | grep -q " $version\$"
done
[ -z "$(rpm --root "$root" -V --nodeps --nouser --nogroup atalaia-agent atalaia-update-agent atalaia-console atalaia-repo)" ]
rpm --root "$root" -e --nodeps --noscripts atalaia-repo
[ ! -e "$root/usr/bin/atalaia-repo" ]
ls -l "$out"/RPMS/*/*.rpm
echo 'rpm: built, and each package holds what the Debian package holds'
