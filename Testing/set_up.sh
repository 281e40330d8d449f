#!/bin/sh
# set_up.sh PYTHON FOLDER EXTRAS MARK: an environment in FOLDER with MMIFAmin and the versions in constraints.txt.
#
# MARK is a file that says that it is done. Two of these at once take turns, and the second finds the work done.
# Debian packages are installed where they are missing and we may (as root, in a container say); else they are named.
set -eu
python=$1 venv=$2 extras=$3 mark=$4
fail() { echo "MMIFAmin: $1" >&2; exit 1; }

install_debian() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "Installing the Debian packages $*"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"; } >/dev/null
}

has() { "$python" -m "$1" --version >/dev/null 2>&1; }

command -v "$python" >/dev/null || fail "$python is not installed. On Debian: apt-get install python3 python3-venv"
# The lock belongs to what is open as 9, so it outlives the Python that takes it, and goes with this shell however it ends.
exec 9>"$venv.lock"
"$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
if [ "$mark" -nt pyproject.toml ] && [ "$mark" -nt constraints.txt ] && [ "$mark" -nt Testing/set_up.sh ]; then exit; fi

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$("$python" --version) is too old: Python 3.10 to 3.13 is needed. Try: make PYTHON=python3.12"
    has ensurepip || has pip || install_debian python3-venv ||
        fail "Python's venv is not complete. On Debian: sudo apt-get install python3-venv"
    if has ensurepip; then
        "$python" -m venv --clear "$venv"
    else
        "$python" -m venv --clear --without-pip "$venv"
        "$python" -m pip --python "$venv/bin/python" --quiet install pip
    fi
fi

echo "Installing MMIFAmin and what it needs into $venv (a few minutes the first time)"
# In the environment rather than by -c, so that the isolated build of the package takes the same versions.
PIP_CONSTRAINT=constraints.txt "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"

case $extras in
*test*)
    qt="libdbus-1-3 libegl1 libfontconfig1 libgl1 libglib2.0-0 libxkbcommon0"
    # shellcheck disable=SC2086
    "$venv/bin/python" -c "import PySide6.QtWidgets" 2>/dev/null || install_debian $qt ||
        fail "The widget tests need libraries of Qt. On Debian: sudo apt-get install $qt"
    command -v dciodvfy >/dev/null || install_debian dicom3tools ||
        echo "MMIFAmin: the check of written DICOM is skipped without dciodvfy. On Debian: sudo apt-get install dicom3tools"
    command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null ||
        install_debian chromium-headless-shell ||
        echo "MMIFAmin: the page of a cohort is not tried in a browser. On Debian: sudo apt-get install chromium-headless-shell"
    ;;
esac
touch "$mark"
