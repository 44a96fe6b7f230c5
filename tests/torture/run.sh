#!/bin/sh
# run.sh: make torture. Death, failing disks, failing memory and power cuts over everything that stores.
# STEP=1 tries every point; the default samples. ONLY=word runs the cases with that word in their name.
set -eu
cd "$(dirname "$0")/../.."
packaging/deps.sh torture
make -s MODE=release all build/release/tests/torture/spoolwork build/release/tests/torture/crashdisk \
    build/release/tests/torture/faultshim.so
exec "${PYTHON:-/usr/bin/python3}" tests/torture/torture.py build/release
