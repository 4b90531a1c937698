# The recipes of this project. `just` alone lists them.

default:
    @{{ just_executable() }} --list

# serve on http://localhost:3000, with data/ as the data directory
run *flags:
    cargo run --locked -- serve {{ flags }}

# all tests, or those whose name contains the filter
test *filter:
    cargo test --locked {{ filter }}

# the tests that need a small disk to fill: in a mount namespace of their own, on 16 MiB of memory
test-full-disk:
    cargo test --locked --no-run
    mkdir -p target/small-disk
    unshare --user --map-root-user --mount sh -euc ' \
        mount -t tmpfs -o size=16m none target/small-disk; \
        COUNTERSIGN_SMALL_DISK="$PWD/target/small-disk" \
            cargo test --locked --test it full_disk -- --ignored'

# kill -9 under load, many more rounds than `cargo test` has
crash rounds="200":
    COUNTERSIGN_CRASH_ROUNDS={{ rounds }} cargo test --locked --test it crash:: -- --nocapture

# power that fails under load, many more rounds than `cargo test` has
power-loss rounds="60":
    COUNTERSIGN_POWER_ROUNDS={{ rounds }} cargo test --locked --test it power_loss:: -- --nocapture

# format, lints, documentation: what must hold beside the tests
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# write the OpenAPI document anew; a test compares it with the code
openapi:
    cargo run --locked -- openapi --format json > openapi/countersign.json
    cargo run --locked -- openapi --format yaml > openapi/countersign.yaml

# the running server against its OpenAPI document: statuses, schemas, headers (needs schemathesis)
schemathesis *flags:
    cargo build --locked
    python3 tests/schemathesis/run.py {{ flags }}

# what people do in a real browser, and whether everybody can: axe-core, Lighthouse (needs Chromium and npm)
browser:
    sh tests/browser/serve.sh story.mjs
    sh tests/browser/serve.sh access.mjs

# look at every page in a real browser, and take the pictures of the README (needs Chromium and npm)
screenshots:
    sh tests/browser/screenshots.sh

# the load comparison with a plain handler and with peers, in target/bench/report.md (needs wrk, Redis and npm)
bench *flags:
    python3 benches/load {{ flags }}

# ten million sessions: size, start, speed, sweep, growth, in target/bench/size.md (needs wrk and 20 GB)
bench-size *flags:
    python3 benches/size {{ flags }}

# what one request costs without sockets and disk, in nanoseconds, beside a handler of the bare framework
bench-requests *kind:
    cargo bench --locked --bench requests -- {{ kind }}

# what a visit and a check cost in the store alone, on the disk of `--dir`
bench-store *flags:
    cargo bench --locked --bench store -- {{ flags }}

# everything that runs before a change lands
ci:
    .ci/run
