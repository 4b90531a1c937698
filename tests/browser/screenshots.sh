#!/bin/sh
# Takes pictures of all pages into target/screenshots, of the dashboard after so many minutes of
# traffic (10 unless said otherwise); those that the README shows go to
# docs/screenshots. The pages use the fonts of the system, Inter if it is there (apt: fonts-inter).
set -eu
cd "$(dirname "$0")/../.."
folder=target/screenshots

sh tests/browser/serve.sh screenshots.mjs "$folder"
sh tests/browser/serve.sh busy.mjs "$folder" "${1:-10}"
mkdir -p docs/screenshots
for name in home admin admin-dark dashboard; do
    cp "$folder/$name.png" docs/screenshots/
done
