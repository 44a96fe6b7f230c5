#!/bin/sh
# install-web.sh BUILT FOLDER: the pages of the web console, in place of those of an older version.
set -eu
rm -rf "$2"
install -d "$2/assets"
install -m 644 "$1"/index.html* "$2/"
install -m 644 "$1"/assets/* "$2/assets/"
