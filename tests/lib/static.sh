#!/bin/sh
# static.sh [analyze]: cppcheck and clang-tidy with the configuration in the repository; with "analyze"
# the path-sensitive clang-analyzer instead, whose findings are for a person to judge.
set -u
bad=0
jobs=$(nproc)
sources=$(git ls-files -- 'common/*.c' 'agent/*.c' 'roles/*.c')
[ -n "$sources" ] || exit 1
cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --suppressions-list=tests/lib/cppcheck.suppress -j "$jobs" -D_GNU_SOURCE -DHAVE_SODIUM \
    '-DcJSON_ArrayForEach(item,list)=for(item=(list)->child;item;item=item->next)' \
    -DATALAIA_VERSION='"x"' -Icommon $sources || bad=1
flags="-std=c11 -D_GNU_SOURCE -Icommon -Iagent -DHAVE_SODIUM -DATALAIA_VERSION=\"x\""
flags="$flags $(pkg-config --cflags libuv libcurl libcjson)"
checks=
[ "${1:-}" != analyze ] || checks=--checks=-*,clang-analyzer-core.*,clang-analyzer-unix.*
export flags checks
# The files come before "--": behind it clang-tidy would take them for compiler flags and look at none.
found=$(echo "$sources" | xargs -P "$jobs" -n 8 sh -c 'clang-tidy --quiet $checks "$@" -- $flags 2>/dev/null' sh |
    grep -E 'warning:|error:' | sort -u)
if [ -n "$found" ]; then
    echo "$found"
    bad=1
fi
[ "$bad" = 0 ] && echo 'static: clean'
exit $bad
