#!/bin/sh
# Compile requirements.txt (what Azure's remote build installs) and requirements-dev.txt (that and what we work with)
# from pyproject.toml, with hashes and without index addresses. Pins stay unless pyproject.toml no longer allows them;
# UPGRADE=1 takes newer ones. With --check nothing is written, and a stale file fails.
set -eu
project=$(cd "$(dirname "$0")/.." && pwd)
cd "$project"
if [ "${1:-}" = --check ]; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    cp pyproject.toml requirements.txt requirements-dev.txt "$scratch"
    cd "$scratch"
fi
compile() {
    "$project/.venv/bin/python" -m uv pip compile pyproject.toml "$@" --quiet --universal --python-version 3.13 \
        --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
        ${UPGRADE:+--upgrade} >/dev/null
}
compile --output-file requirements.txt
compile --group dev --constraints requirements.txt --output-file requirements-dev.txt
for file in requirements.txt requirements-dev.txt; do
    if ! diff -u "$project/$file" "$file" >&2; then
        echo "$file is stale: run 'make lock' and commit it" >&2
        exit 1
    fi
done
