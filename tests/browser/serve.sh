#!/bin/sh
# Builds the service, runs it on a free port over a temporary data directory, and then a script of this
# folder on it:
#
#     sh tests/browser/serve.sh SCRIPT [ARGUMENT]...
#
# Needs Chromium (apt: chromium) and npm.
set -eu
cd "$(dirname "$0")/../.."

for tool in "${CHROMIUM:-/usr/bin/chromium}" node npm; do
    command -v "$tool" >/dev/null || {
        echo "$tool is missing: the browser tests need Chromium and npm" >&2
        exit 1
    }
done
cargo build --locked
npm --prefix tests/browser ci --no-audit --no-fund --silent

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

COUNTERSIGN_STORE__SWEEP_INTERVAL=5s \
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
script=$1
shift
export DATA_DIR="$work/data" COUNTERSIGN=target/debug/countersign
BASE_URL=$(sed -n 's/^listening on //p' "$work/stdout") node "tests/browser/$script" "$@"
