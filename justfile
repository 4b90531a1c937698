# The recipes of this project. `just` alone lists them.

default:
    @{{ just_executable() }} --list

# serve on http://localhost:3000, with data/ as the data directory
run *flags:
    cargo run --locked -- serve {{ flags }}

# all tests, or those whose name contains the filter
test *filter:
    cargo test --locked {{ filter }}

# format, lints, documentation: what must hold beside the tests
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# write the OpenAPI document anew; a test compares it with the code
openapi:
    cargo run --locked -- openapi --format json > openapi/countersign.json
    cargo run --locked -- openapi --format yaml > openapi/countersign.yaml

# look at every page in a real browser, and take the pictures of the README (needs Chromium and npm)
screenshots:
    sh tests/browser/screenshots.sh

# everything that runs before a change lands
ci:
    .ci/run
