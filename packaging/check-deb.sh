#!/bin/sh
# check-deb.sh FOLDER: installs the packages in FOLDER into an empty root, upgrades, removes and purges them
# there, and checks users, modes, kept configuration and kept identity. Needs root: it makes users' folders.
set -eu
debs=$(cd "$1" && pwd)
[ "$(id -u)" = 0 ] || { echo 'check-deb.sh: not root, the packages are not installed for a test'; exit 0; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT INT TERM
chmod 755 "$root"
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/etc" "$root/run"
: >"$root/var/lib/dpkg/status"
: >"$root/etc/passwd"
: >"$root/etc/group"

die() {
    echo "check-deb.sh: $1" >&2
    sed 's/^/  /' "$root/log" | tail -15 >&2
    exit 1
}
pkg() {
    dpkg --root="$root" --force-script-chrootless --force-depends --force-confold --no-triggers "$@" \
        >>"$root/log" 2>&1 || die "dpkg $* failed"
}
# want PATH MODE USER: users are those of the new root's passwd.
want() {
    uid=$(awk -F: -v u="$3" '$1 == u { print $3 }' "$root/etc/passwd")
    [ "$3" != root ] || uid=0
    got=$(stat -c '%a %u' "$root$1") || die "$1 is not there"
    [ "$got" = "$2 $uid" ] || die "$1 has mode and owner $got, not $2 $uid ($3)"
}
install_all() {
    for p in agent update-agent console repo; do
        pkg -i "$debs"/atalaia-"$p"_*.deb
    done
}

install_all
grep -q '^atalaia:' "$root/etc/passwd" || die 'user atalaia was not made'
grep -q '^atalaia-console:' "$root/etc/passwd" || die 'user atalaia-console was not made'
want /var/lib/atalaia 750 atalaia
want /var/lib/atalaia-console 700 atalaia-console
want /var/lib/atalaia-feeds 755 atalaia-console
want /etc/atalaia/agent.conf 640 root
want /etc/atalaia/console.conf 640 root
want /usr/lib/atalaia/atalaia-fetch 755 root
want /usr/share/atalaia/web/index.html 644 root
ls "$root"/usr/share/atalaia/web/assets/app-*.js.br >/dev/null || die 'the web console has no pages'
for program in bin/atalaia bin/atalaia-repo sbin/atalaia-agent sbin/atalaia-console sbin/atalaia-update-agent; do
    "$root/usr/$program" --help >/dev/null 2>>"$root/log" || die "$program does not run"
done
[ -L "$root/etc/systemd/system/multi-user.target.wants/atalaia-agent.service" ] ||
    die 'the agent is not enabled'
[ ! -e "$root/etc/systemd/system/multi-user.target.wants/atalaia-console.service" ] ||
    die 'the console is enabled before it has been configured'

mkdir "$root/var/lib/atalaia/identity"
echo key >"$root/var/lib/atalaia/identity/key.pem"
echo '; ours' >>"$root/etc/atalaia/agent.conf"
install_all
grep -q '; ours' "$root/etc/atalaia/agent.conf" || die 'the upgrade lost the configuration'
[ -f "$root/var/lib/atalaia/identity/key.pem" ] || die 'the upgrade lost the identity'

for verb in -r -P; do
    pkg $verb atalaia-update-agent
    pkg $verb atalaia-agent
    pkg $verb atalaia-console
    pkg $verb atalaia-repo
    [ $verb = -P ] || [ -f "$root/var/lib/atalaia/identity/key.pem" ] || die 'removal took the identity'
done
[ ! -e "$root/var/lib/atalaia" ] || die 'purge left the state of the agent'
[ -d "$root/var/lib/atalaia-console" ] || die "purge took the organisation's keys"
left=$(find "$root/usr" "$root/lib" "$root/etc/atalaia" -type f 2>/dev/null || true)
[ -z "$left" ] || die "purge left $left"
echo 'packages: install, upgrade, remove and purge are as they should be'
