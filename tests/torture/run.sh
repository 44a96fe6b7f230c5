#!/bin/sh
# run.sh: make torture. Death, failing disks, failing memory and power cuts over everything that stores.
# STEP=1 tries every point (about three hours); the default samples. ONLY=word runs the cases with that word
# in their name.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-/usr/bin/python3}
packaging/deps.sh torture
for mode in debug release; do
    tools=build/$mode/tests/torture
    make -s MODE=$mode all "$tools/spoolwork" "$tools/crashdisk" "$tools/faultshim.so" "$tools/allocshim.so" "$tools/nthcall"
done
failed=0
case "tasks" in *"${ONLY:-}"*)
    STEP=1 ATALAIA_BIN="$PWD/build/debug" "$python" -m pytest -q -p no:cacheprovider tests/integration/test_task_kill.py || failed=1 ;;
esac
case "fence" in *"${ONLY:-}"*)
    ATALAIA_BIN="$PWD/build/debug" "$python" -m pytest -q -p no:cacheprovider tests/torture/test_role_fence.py || failed=1 ;;
esac
case "units, allocation" in *"${ONLY:-}"*)
    make -s MODE=debug tests build/debug/tests/torture/careless
    # shellcheck disable=SC2046
    "$python" tests/torture/allocations.py build/debug/tests/torture/allocshim.so build/debug/tests/torture/careless \
        $(find build/debug/tests/unit -name 'test_*' -type f -perm -u+x | sort) || failed=1 ;;
esac
"$python" tests/torture/torture.py build/release || failed=1
exit "$failed"
