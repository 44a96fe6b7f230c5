#!/bin/sh
# style.sh: tabs, 100 columns, banned calls, files under 600 lines, functions under 60.
set -u
bad=0
sources=$(git ls-files -co --exclude-standard -- '*.c' '*.h')
report() {
    [ -z "$2" ] && return
    echo "style: $1"
    echo "$2" | head -20
    bad=1
}
report 'longer than 100 columns (a tab is 8)' "$(for f in $sources; do
    expand "$f" | awk -v f="$f" 'length($0) > 100 { print "  " f ":" NR ": " length($0) }'; done)"
report 'indented with spaces (continuations take 4 more)' "$(grep -nE '^ {8}' $sources)"
report 'white space at a line end' "$(grep -nE '[[:space:]]$' $sources)"
report 'banned call' "$(grep -nE '(^|[^A-Za-z0-9_.>])(atoi|sprintf|strcpy|strcat|strtok|sscanf|system|localtime|gets)\(' $sources)"
report 'a file over 600 lines: split where a second subject begins' \
    "$(wc -l $sources | awk '$2 != "total" && $1 > 600 { print "  " $2 ": " $1 }')"
# A test may hold its table of cases: 90 lines there.
report 'a function over 60 lines (90 in tests)' "$(awk 'FNR == 1 { s = 0; max = FILENAME ~ /^tests\// ? 90 : 60 }
    /^{/ { s = FNR } /^}/ { if (s && FNR - s > max) print "  " FILENAME ":" s ": " FNR - s; s = 0 }' $sources)"
report 'typedef of a struct' "$(grep -nE 'typedef struct' $sources)"
# The web console: what would let data become markup or script is not written at all.
pages=$(git ls-files -co --exclude-standard -- 'roles/console/web/*.js' 'roles/console/web/*.jsx' 'roles/console/web/*.mjs')
report 'markup or script from data' "$(grep -nE 'innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(|new Function' $pages)"
report 'longer than 144 columns (a tab is 4)' "$(for f in $pages; do
    expand -t4 "$f" | awk -v f="$f" 'length($0) > 144 && !/^ *(<path )?d=/ { print "  " f ":" NR ": " length($0) }'; done)"
report 'a file over 600 lines: split where a second subject begins' \
    "$(wc -l $pages | awk '$2 != "total" && $1 > 600 { print "  " $2 ": " $1 }')"
report 'words of unfinished work' "$(git grep -nE '\b(TODO|FIXME|XXX|HACK)\b' -- ':!tests/lib/style.sh' ':!LICENSE')"
[ "$bad" = 0 ] && echo 'style: clean'
exit $bad
