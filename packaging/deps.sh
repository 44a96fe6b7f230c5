#!/bin/sh
# deps.sh build|web|test|demo|static|fuzz|bench|deb: installs the Debian packages that are missing, with sudo when not root.
set -eu
build='gcc make pkg-config libc6-dev libuv1-dev libcurl4-openssl-dev libmbedtls-dev libcjson-dev
 libsqlite3-dev libzstd-dev libarchive-dev libinih-dev libhttp-parser-dev libseccomp-dev
 libsodium-dev libssl-dev zlib1g-dev'
demo='clamav clamav-daemon clamav-testfiles curl python3 util-linux procps'
test="$demo libcmocka-dev python3-pytest python3-pytest-xdist python3-cryptography python3-jsonschema lftp ncftp tnftp wget busybox strace
 faketime fuse3 libfuse3-dev e2fsprogs mount apparmor zsh fish python3-prometheus-client zstd chromium fonts-dejavu-core yara
 iproute2 ethtool iputils-ping nftables"
static='cppcheck clang-tidy'
fuzz='clang libclang-rt-14-dev'
bench='time zstd xdelta3 bsdiff zsync casync clamav clamav-daemon clamav-freshclam strace gnuplot-nox'
# The pages of the web console are built with the node that is here, or else with Debian's.
web=
command -v node >/dev/null && command -v npm >/dev/null || web='nodejs npm'
deb='build-essential debhelper devscripts fakeroot lintian'
rpm='rpm cpio'
case ${1:-build} in
build) want=$build ;;
web) want=$web ;;
demo) want="$build $demo" ;;
test) want="$build $web $test" ;;
static) want=$static ;;
fuzz) want="$build $fuzz" ;;
torture) want="$build $test valgrind" ;;
bench) want="$build $bench" ;;
deb) want="$build $web $deb" ;;
deb-test) want="$build $web $deb debootstrap iproute2 nftables" ;;
rpm) want="$build $web $rpm" ;;
*)
    echo "deps.sh: '$1' is not a list; use build, web, test, demo, static, fuzz, bench or deb" >&2
    exit 2
    ;;
esac
missing=
for p in $want; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' ||
        missing="$missing $p"
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || {
    echo "deps.sh: missing Debian packages:$missing; install their like and run again" >&2
    exit 1
}
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get -qq update
# shellcheck disable=SC2086
$sudo apt-get -qq -y --no-install-recommends install $missing >/dev/null 2>&1 ||
    $sudo apt-get -y --no-install-recommends install $missing
