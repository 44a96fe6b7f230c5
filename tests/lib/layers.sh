#!/bin/sh
# layers.sh: includes point to the left only (base <- os <- net <- store <- update <- proto); parts use
# common/ and themselves; platform and library names stay in their folders.
set -u
bad=0
complain() {
    echo "layers: $1"
    bad=1
}
sources=$(git ls-files -co --exclude-standard -- '*.c' '*.h')

out=$(grep -nE '#include "\.\./' $sources)
[ -z "$out" ] || complain "an include climbs: $out"

order='base os net store update proto'
right=
for layer in proto update store net os base; do
    for r in $right; do
        out=$(grep -n "#include \"$r/" common/$layer/*.[ch] 2>/dev/null)
        [ -z "$out" ] || complain "common/$layer may not include $r/: $out"
    done
    right="$right $layer"
done
[ -n "$order" ]

allow() { # allow NAME-PATTERN ALLOWED-FILES-PATTERN WHAT
    out=$(grep -nE "$1" $sources | grep -vE "^($2)" | grep -v '^tests/')
    [ -z "$out" ] || complain "$3: $out"
}
allow '\bmbedtls_' 'common/net/(tls|pki)|common/update/(sign|hash)' 'mbedtls_ names live in common/net/{tls,pki} and common/update/{sign,hash}'
allow '\bcJSON_Parse|cJSON_GetObjectItem\b' 'common/base/json' 'JSON is read through common/base/json only'
allow '#include <http_parser.h>' 'common/net/http_parse' 'http-parser lives behind one file'
allow '#include <(openssl|sodium)' 'common/net/curl_verify|common/update/(sign|hash)|roles/console/password' 'OpenSSL and libsodium live behind one file each'
allow '#include <(sys/prctl|linux/|seccomp|sys/random|sys/syscall)' 'common/os/' 'platform calls live in common/os'
allow '^#\s*(ifdef|if defined).*(__linux__|_WIN32|__APPLE__)' 'common/os/' 'no platform #ifdef outside common/os'
[ "$bad" = 0 ] && echo 'layers: clean'
exit $bad
