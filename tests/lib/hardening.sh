#!/bin/sh
# hardening.sh BUILD: what the compiler and the linker were asked for is in every program of this folder: PIE, RELRO
# with BIND_NOW, no executable stack, no text relocations, stack protector, fortified calls, CET marks.
# With file names after the folder only those are looked at.
set -u
build=${1:?hardening.sh BUILD [PROGRAM...]}
shift
bad=0 programs=0
say() {
    echo "hardening: $1: $2"
    bad=1
}
# Whether a function of ours begins with endbr64: glibc's start files carry no CET note, so the linker drops
# it from the program, and only the code tells.
marked() {
    objdump -d --no-show-raw-insn --disassemble=main "$1" | grep -q 'endbr64'
}
look() {
    headers=$(readelf -hlW "$1") dynamic=$(readelf -dW "$1") calls=$(readelf --dyn-syms -W "$1")
    case $headers in *'Type:'*DYN*) ;; *) say "$1" 'no PIE' ;; esac
    echo "$dynamic" | grep -q 'FLAGS_1.*PIE' || say "$1" 'no PIE flag'
    echo "$dynamic" | grep -qE 'BIND_NOW|FLAGS_1.*NOW' || say "$1" 'no BIND_NOW'
    echo "$dynamic" | grep -q 'TEXTREL' && say "$1" 'text relocations'
    echo "$headers" | grep -q 'GNU_RELRO' || say "$1" 'no RELRO'
    echo "$headers" | grep 'GNU_STACK' | grep -q ' RW ' || say "$1" 'an executable stack'
    echo "$headers" | grep 'LOAD' | grep -q ' RWE ' && say "$1" 'a segment that is writable and executable'
    echo "$calls" | grep -q '__stack_chk_fail' || say "$1" 'no stack protector'
    echo "$calls" | grep -qE '__(memcpy|snprintf|vsnprintf|fprintf|printf|read)_chk' || say "$1" 'no fortified call'
    [ "$(uname -m)" != x86_64 ] || marked "$1" || say "$1" 'no CET marks'
}
[ $# != 0 ] || set -- "$build"/atalaia "$build"/atalaia-*
for p in "$@"; do
    [ -x "$p" ] && [ -f "$p" ] || { say "$p" 'is not there: run make first' && continue; }
    look "$p"
    programs=$((programs + 1))
done
[ "$bad" = 0 ] && echo "hardening: $programs programs, all hardened"
exit $bad
