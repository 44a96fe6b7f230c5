# shellcheck shell=sh
# paths.sh: read by rpm.sh and check-rpm.sh.
# "from [folder]" of an .install file -> path in the package; lib/systemd is below /usr here.
paths() {
    while read -r from to; do
        case $from in
        '') ;;
        *.service) echo "/usr/lib/systemd/system/${from##*/}" ;;
        usr/share/man/*) echo "/$from.gz" ;;
        etc/*) echo "%config(noreplace) /$from" ;;
        *) [ -z "$to" ] && echo "/$from" || echo "/$to/${from##*/}" ;;
        esac
    done <"$1"
}
