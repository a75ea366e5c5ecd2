#!/bin/sh
# Compile requirements.txt (what Azure's remote build installs) and requirements-dev.txt (that and what we work with)
# from pyproject.toml, with hashes and without index addresses. Pins stay unless pyproject.toml no longer allows them;
# `UPGRADE=1` takes newer ones. With --check nothing is written, and a stale file fails.
set -eu
cd "$(dirname "$0")/.."
target=.
if [ "${1:-}" = --check ]; then
    target=$(mktemp -d)
    trap 'rm -rf "$target"' EXIT
    cp requirements.txt requirements-dev.txt "$target"
fi
compile() {
    .venv/bin/python -m uv pip compile pyproject.toml "$@" --quiet --universal --python-version 3.13 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" ${UPGRADE:+--upgrade} >/dev/null
}
compile --output-file "$target/requirements.txt"
compile --group dev --constraints "$target/requirements.txt" --output-file "$target/requirements-dev.txt"
if [ "$target" != . ]; then
    for file in requirements.txt requirements-dev.txt; do
        diff -u "$file" "$target/$file" || { echo "$file is stale: run 'make lock' and commit it" >&2; exit 1; }
    done
fi
