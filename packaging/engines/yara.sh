#!/bin/sh
# yara.sh test SET | reload SET | scan SET FILE: YARA as the `command` engine. In agent.conf:
#   [engine]
#   type = command
#   command_test   = /usr/lib/atalaia/engines/yara.sh test {set}
#   command_reload = /usr/lib/atalaia/engines/yara.sh reload {set}
#   command_scan   = /usr/lib/atalaia/engines/yara.sh scan {set} {file}
# SET is a folder sets/<version> of a feed with *.yar files, or a link to one. Its rules are compiled
# once, into compiled/<version> beside sets/. Needs the Debian package yara.
set -eu
umask 077
what=${1:?test, reload or scan} set=$(readlink -f "${2:?folder of the set}")
cache=${set%/*}/../compiled rules=${set%/*}/../compiled/${set##*/}
# Names that common rule sets expect from their caller.
variables='-d filename= -d filepath= -d extension= -d filetype= -d owner='

compile() {
    [ -f "$rules" ] && return
    set -- "$set"/*.yar
    [ -f "$1" ] || { echo "$set holds no *.yar file" >&2; exit 2; }
    mkdir -p "$cache"
    # shellcheck disable=SC2086
    yarac -w $variables "$@" "$rules.new" >&2 || { rm -f "$rules.new"; exit 2; }
    mv "$rules.new" "$rules"
}

case $what in
test)
    rm -f "$rules"
    compile
    ;;
reload)
    compile
    for old in "$cache"/*; do
        [ "$old" = "$cache/${set##*/}" ] || [ -d "${set%/*}/${old##*/}" ] || rm -f "$old"
    done
    ;;
scan)
    [ -f "$rules" ] || { echo "$rules is not there: reload first" >&2; exit 2; }
    # shellcheck disable=SC2086
    exec yara -w -C $variables "$rules" "${3:?file}"
    ;;
*)
    echo "yara.sh: '$what' is not test, reload or scan" >&2
    exit 2
    ;;
esac
