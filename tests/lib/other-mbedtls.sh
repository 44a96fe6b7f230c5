#!/bin/sh
# other-mbedtls.sh: builds what uses mbedTLS against 3.6 of Debian 13 and runs its unit tests (make other-mbedtls). The
# package is unpacked under build/, nothing is installed.
set -eu
dir=$PWD/build/other-mbedtls
mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/x"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main" \
    > "$dir/sources.list"
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}
if ! ls "$dir"/*.deb > /dev/null 2>&1; then
    apt update
    (cd "$dir" && apt download libmbedtls-dev)
fi
dpkg-deb -x "$dir"/libmbedtls-dev_*.deb "$dir/x"
lib=$(dirname "$(find "$dir/x" -name libmbedtls.a)")
find "$lib" -name '*.so' -delete        # their libraries are in another package: the archives are linked
tests="test_tls test_pki test_sign test_httpc_tls test_signed test_tuf"
targets=$(for t in $tests; do echo "$dir/b/tests/unit/common/$t"; done)
CPATH="$dir/x/usr/include" make -s MODE=debug CC="${CC:-gcc} -L$lib" B="$dir/b" $targets
for t in $targets; do "$t"; done
dpkg-deb -f "$dir"/libmbedtls-dev_*.deb Version
