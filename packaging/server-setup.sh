#!/bin/sh
# atalaia-server-setup ORG HOST FOLDER: makes this PC the server of a new organisation. FOLDER holds the
# signatures of the first set (for ClamAV: .hdb .ndb .cvd ...); HOST is the name that agents find this PC under.
# What is there already stays: run again it does what is missing.
set -eu
feeds=/var/lib/atalaia-feeds feed=/srv/atalaia/signatures etc=${ATALAIA_ETC:-/etc/atalaia}
[ $# = 3 ] && [ -d "$3" ] || {
    echo 'usage: atalaia-server-setup ORG HOST FOLDER   (FOLDER: signatures of the first set)' >&2
    exit 2
}
[ "$(id -u)" = 0 ] || {
    echo 'atalaia-server-setup: run it as root' >&2
    exit 1
}
org=$1 host=$2 folder=$3

grep -q '^org *=' "$etc/console.conf" || cat >>"$etc/console.conf" <<END

; written by atalaia-server-setup
[console]
org = $org
host = $host
publish = $feeds
END
grep -q '^\[update-agent\]' "$etc/agent.conf" || cat >>"$etc/agent.conf" <<END

; written by atalaia-server-setup: this PC serves what console and atalaia-repo publish
[update-agent]
enabled = yes
mode = origin
root = $feeds
http_port = 2221
END
[ -e "$feed/repo.json" ] || {
    mkdir -p "${feed%/*}"
    chmod 700 "${feed%/*}"
    atalaia-repo init "$feed" --feed signatures
}
atalaia-repo publish "$feed" "$folder" --engine clamav --out "$feeds"
[ -e /var/lib/atalaia-console/console.db ] || [ -e /var/lib/atalaia-console/ca.pem ] || atalaia-console init
systemctl enable --now atalaia-console atalaia-timestamp
systemctl restart atalaia-agent
cat <<END

The server of $org runs. Its feed is $feed: keep a copy of that folder, its root key belongs elsewhere.
Publish with: atalaia-repo publish $feed FOLDER --engine clamav --out $feeds
A token for each PC: atalaia-console token --signature-root signatures=$feeds/signatures/metadata/1.root.json
END
