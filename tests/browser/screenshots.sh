#!/bin/sh
# Takes pictures of all pages into target/screenshots; those that the README shows go to
# docs/screenshots. The pages use the fonts of the system, Inter if it is there (apt: fonts-inter).
set -eu
cd "$(dirname "$0")/../.."
folder=target/screenshots

sh tests/browser/serve.sh screenshots.mjs "$folder"
mkdir -p docs/screenshots
for name in home admin admin-dark; do
    cp "$folder/$name.png" docs/screenshots/
done
