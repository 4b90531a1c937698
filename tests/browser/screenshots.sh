#!/bin/sh
# Builds the service, runs it on a free port over a temporary data directory, and takes pictures
# of all its pages into target/screenshots; those that the README shows go to docs/screenshots.
#
# Needs Chromium (apt: chromium) and npm; CHROMIUM names another binary. The pages use the fonts
# of the system, Inter if it is there (apt: fonts-inter).
set -eu
cd "$(dirname "$0")/../.."
folder=target/screenshots

cargo build
npm --prefix tests/browser install --no-package-lock --no-audit --no-fund --silent

work=$(mktemp -d)
server=
stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

target/debug/countersign serve --listen 127.0.0.1:0 --data-dir "$work/data" \
    >"$work/stdout" 2>"$work/stderr" &
server=$!
until grep -qs '^listening on ' "$work/stdout"; do
    if ! kill -0 "$server" 2>/dev/null; then
        cat "$work/stderr" >&2
        exit 1
    fi
    sleep 0.1
done
BASE_URL=$(sed -n 's/^listening on //p' "$work/stdout") node tests/browser/screenshots.mjs "$folder"

mkdir -p docs/screenshots
for name in home admin admin-dark; do
    cp "$folder/$name.png" docs/screenshots/
done
