#!/bin/sh
# static.sh [analyze]: cppcheck, clang-tidy and gcc's analyzer with the configuration in the repository; with
# "analyze" clang's analyzer too, which takes minutes. All of them find nothing, or the script fails.
set -u
bad=0
jobs=$(nproc)
sources=$(git ls-files -- 'common/*.c' 'agent/*.c' 'roles/*.c')
[ -n "$sources" ] || exit 1
flags="-std=c11 -D_GNU_SOURCE -Icommon -Iagent -DHAVE_SODIUM -DATALAIA_VERSION=\"x\""
flags="$flags $(pkg-config --cflags libuv libcurl libcjson)"
# Told what errors promise: but not the files that define those functions, nor OpenSSL's, whose names clash.
told='-include tests/lib/analyzed.h'
plain=$(grep -lE 'include <openssl/|^(err_from_errno|fault_set)\(' $sources)
export flags told plain

# report NAME FINDINGS
report() {
    [ -z "$2" ] && return
    echo "static: $1"
    echo "$2"
    bad=1
}
# for_each COUNT COMMAND: COMMAND gets that many files at a time; $extra is what is forced into them.
for_each() {
    echo "$plain" | extra= xargs -P "$jobs" -n "$1" sh -c "$2" sh
    echo "$sources" | grep -vxF "$plain" | extra=$told xargs -P "$jobs" -n "$1" sh -c "$2" sh
}

report cppcheck "$(cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
    --suppressions-list=tests/lib/cppcheck.suppress -j "$jobs" -D_GNU_SOURCE -DHAVE_SODIUM \
    '-DcJSON_ArrayForEach(item,list)=for(item=(list)->child;item;item=item->next)' \
    -DATALAIA_VERSION='"x"' -Icommon $sources 2>&1)"
# The files come before "--": behind it clang-tidy would take them for compiler flags and look at none.
report clang-tidy "$(echo "$sources" | xargs -P "$jobs" -n 8 sh -c 'clang-tidy --quiet "$@" -- $flags 2>/dev/null' sh |
    grep -E 'warning:|error:' | sort -u)"
# Leaks are not asked for: gcc 12 takes memory for lost when it is stored in a structure it knows by pointer
# only. Leaks are what the unit tests under ASan find (make sanitize).
report 'gcc -fanalyzer' "$(for_each 1 'gcc $flags $extra -O1 -fanalyzer -Wno-analyzer-malloc-leak -c -o /dev/null "$@" 2>&1' |
    grep -E 'warning:|error:' | sort -u)"
if [ "${1:-}" = analyze ]; then
    report clang-analyzer "$(for_each 8 'clang-tidy --quiet --checks=-*,clang-analyzer-core.*,clang-analyzer-unix.* "$@" \
        -- $flags $extra 2>/dev/null' | grep -E 'warning:|error:' | sort -u)"
fi
[ "$bad" = 0 ] && echo 'static: clean'
exit $bad
