# Sourced by demo and test: makes .venv beside the code and installs the package into it, once a version of pyproject.toml.
# $1: what to install, as "." or ".[test]".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=""
for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "ezarchive needs Python 3.11 or newer; set PYTHON to one" >&2
    exit 2
fi

mark=".venv/.installed-$(printf '%s %s' "$1" "$(cksum < pyproject.toml)" | cksum | cut -d' ' -f1)"
if [ ! -e "$mark" ]; then
    if ! "$python" -m venv .venv; then
        echo "could not make .venv (on Debian: apt install python3-venv)" >&2
        exit 2
    fi
    echo "installing into .venv ..."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$1"
    touch "$mark"
fi
