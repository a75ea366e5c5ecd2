#!/bin/sh
# Set up what the project needs below its own folder: .venv (Python 3.13, pinned packages) and node_modules (Azurite).
# Does nothing when both are as the lock files say. Safe to be started twice at the same time.
set -eu
cd "$(dirname "$0")/.."

find_python() {
    for candidate in "${PYTHON:-}" python3.13 "$HOME"/.pyenv/versions/3.13*/bin/python \
        "${XDG_DATA_HOME:-$HOME/.local/share}"/uv/python/cpython-3.13*/bin/python3.13 /opt/homebrew/bin/python3.13 python3; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 13))' \
            >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.13 with venv is needed and was not found on PATH, in pyenv or in uv: install it (for example" \
        "'pyenv install 3.13' or 'uv python install 3.13'), or name it with PYTHON=/path/to/python3.13." >&2
    return 1
}

lock=.bootstrap.lock
waited=0
until mkdir "$lock" 2>/dev/null; do
    holder=$(cat "$lock/pid" 2>/dev/null || echo)
    if [ "$waited" -ge 5 ] && { [ -z "$holder" ] || ! kill -0 "$holder" 2>/dev/null; }; then
        rm -rf "$lock" # its holder was killed
        continue
    fi
    sleep 1
    waited=$((waited + 1))
done
echo $$ >"$lock/pid"
trap 'rm -rf "$lock"' EXIT
trap 'exit 130' INT TERM HUP

if ! cmp -s requirements-dev.txt .venv/requirements-installed.txt; then
    python=$(find_python)
    echo "Setting up .venv with $("$python" --version) ..."
    "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        -r requirements-dev.txt
    cp requirements-dev.txt .venv/requirements-installed.txt
fi
if ! cmp -s package-lock.json node_modules/package-lock-installed.json; then
    if ! command -v npm >/dev/null 2>&1; then
        echo "npm is needed for Azurite and was not found on PATH: install Node.js 22 or newer." >&2
        exit 1
    fi
    echo "Setting up Azurite ..."
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    cp package-lock.json node_modules/package-lock-installed.json
fi
