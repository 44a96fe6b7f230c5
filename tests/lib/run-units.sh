#!/bin/sh
# run-units.sh BUILD TEST...: runs every cmocka program; prints its summary lines, and everything of one that fails.
set -u
build=$1
shift
failed=0 programs=0
log=$build/tests/unit.log
for t in "$@"; do
    programs=$((programs + 1))
    if timeout 300 "$t" >"$log" 2>&1; then
        printf '%s: ' "${t##*/tests/}"
        grep '^\[  PASSED' "$log" || echo 'printed no summary'
    else
        echo "${t##*/tests/} FAILED (exit $?):"
        cat "$log"
        failed=$((failed + 1))
    fi
done
echo "unit: $programs programs, $failed failed"
[ "$failed" = 0 ] && [ "$programs" -gt 0 ]
