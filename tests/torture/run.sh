#!/bin/sh
# run.sh: make torture. Death, failing disks, failing memory and power cuts over everything that stores.
# STEP=1 tries every point; the default samples. ONLY=word runs the cases with that word in their name.
set -eu
cd "$(dirname "$0")/../.."
packaging/deps.sh torture
make -s MODE=release all build/release/tests/torture/spoolwork build/release/tests/torture/crashdisk \
    build/release/tests/torture/faultshim.so
make -s MODE=debug all
case "tasks" in *"${ONLY:-}"*)
    STEP=1 ATALAIA_BIN="$PWD/build/debug" "${PYTHON:-/usr/bin/python3}" -m pytest -q -p no:cacheprovider \
        tests/integration/test_task_kill.py ;;
esac
case "fence" in *"${ONLY:-}"*)
    ATALAIA_BIN="$PWD/build/debug" "${PYTHON:-/usr/bin/python3}" -m pytest -q -p no:cacheprovider tests/torture/test_role_fence.py ;;
esac
exec "${PYTHON:-/usr/bin/python3}" tests/torture/torture.py build/release
