#!/bin/sh
# Makes the virtual environment $1 with the Python named $2.
set -eu
venv=$1
python=$2
command -v "$python" >/dev/null 2>&1 || {
    echo "error: '$python' was not found: install Python 3.11 or later, or run 'make PYTHON=/path/to/python3 ...'" >&2
    exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: $("$python" --version) is too old: Python 3.11 or later is needed; run 'make PYTHON=python3.12 ...' if you have one" >&2
    exit 1
}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing python3-venv, which Debian keeps apart from Python"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
    else
        echo "error: Python's venv module is missing: install it, on Debian or Ubuntu by 'sudo apt install python3-venv'" >&2
        exit 1
    fi
fi
echo "making the virtual environment $venv"
"$python" -m venv "$venv"
