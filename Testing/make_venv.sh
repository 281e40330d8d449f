#!/bin/sh
# make_venv.sh PYTHON FOLDER: a virtual environment with pip, also where Debian's python3-venv is not installed.
set -eu
python=$1 venv=$2
fail() { echo "MMIFAmin: $1" >&2; exit 1; }

"$venv/bin/python" -m pip --version >/dev/null 2>&1 && exit 0
command -v "$python" >/dev/null || fail "$python is not installed. On Debian: apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$python" --version) is too old: Python 3.10 to 3.13 is needed. Try: make PYTHON=python3.12"

has() { "$python" -m "$1" --version >/dev/null 2>&1; }
if ! has ensurepip && ! has pip && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing the Debian package python3-venv"
    { apt-get update && apt-get install --yes --no-install-recommends python3-venv; } >/dev/null ||
        fail "python3-venv could not be installed. Try: apt-get install python3-venv"
fi
if has ensurepip; then
    "$python" -m venv --clear "$venv"
elif has pip; then
    "$python" -m venv --clear --without-pip "$venv"
    "$python" -m pip --python "$venv/bin/python" --quiet install pip
else
    fail "Python's venv is not complete. On Debian: sudo apt-get install python3-venv"
fi
