#!/bin/sh
# static.sh: cppcheck, clang-tidy and gcc -fanalyzer with the configuration in the repository.
set -u
bad=0
jobs=$(nproc)
sources=$(git ls-files -- 'common/*.c' 'agent/*.c' 'roles/*.c')
[ -n "$sources" ] || exit 1
cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --suppressions-list=tests/lib/cppcheck.suppress -j "$jobs" -D_GNU_SOURCE -DHAVE_SODIUM \
    -DATALAIA_VERSION='"x"' -Icommon $sources || bad=1
echo "$sources" | xargs -P "$jobs" -n 8 clang-tidy --quiet -- -std=c11 -D_GNU_SOURCE -Icommon \
    -DHAVE_SODIUM -DATALAIA_VERSION='"x"' $(pkg-config --cflags libuv libcurl libcjson) 2>/dev/null |
    grep -E 'warning:|error:' && bad=1
[ "$bad" = 0 ] && echo 'static: clean'
exit $bad
