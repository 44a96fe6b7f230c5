#!/bin/sh
# systemctl of a test root without systemd: starts and stops a unit's ExecStart as its User, and no more.
set -eu
units= verb= now=
for word; do
    case $word in
    --now) now=1 ;;
    -*) ;;
    *) [ -n "$verb" ] && units="$units ${word%.service}" || verb=$word ;;
    esac
done
value() { sed -n "s/^$1=//p" "$file" | head -1; }
stop() {
    [ -f "/run/$1.pid" ] || return 0
    pid=$(cat "/run/$1.pid")
    kill "$pid" 2>/dev/null || :
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    rm -f "/run/$1.pid"
}
start() {
    file=/lib/systemd/system/$1.service
    [ -f "$file" ] || exit 5
    user=$(value User)
    user=${user:-root}
    for dir in "/var/lib/$(value StateDirectory)" "/run/$(value RuntimeDirectory)"; do
        case $dir in */) ;; *) mkdir -p "$dir" && chown "$user" "$dir" ;; esac
    done
    umask "$(value UMask)"
    # shellcheck disable=SC2046
    setsid setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- $(value ExecStart) \
        >>"/var/log/$1.log" 2>&1 </dev/null &
    echo $! >"/run/$1.pid"
}
wants=/etc/systemd/system/multi-user.target.wants
for u in $units; do
    case $verb in
    preset | enable) mkdir -p $wants && ln -sf "/lib/systemd/system/$u.service" "$wants/$u.service" ;;
    disable) rm -f "$wants/$u.service" ;;
    esac
    case $verb$now in
    start | enable1) [ -f "/run/$u.pid" ] || start "$u" ;;
    restart) stop "$u" && start "$u" ;;
    try-restart) [ ! -f "/run/$u.pid" ] || { stop "$u" && start "$u"; } ;;
    stop | disable1) stop "$u" ;;
    is-enabled*)
        [ -L "$wants/$u.service" ] || {
            echo disabled
            exit 1
        }
        echo enabled
        ;;
    is-active) [ -f "/run/$u.pid" ] || exit 3 ;;
    esac
done
