# The recipes of this project. `just` alone lists them.

default:
    @{{ just_executable() }} --list

# serve on http://localhost:3000, with data/ as the data directory
run *flags:
    cargo run --locked -- serve {{ flags }}

# all tests, or those whose name contains the filter
test *filter:
    cargo test --locked {{ filter }}

# all tests, and then all that the service wrote in them is searched for every secret that they used
secrets:
    rm -rf target/secrets
    mkdir -p target/secrets/output
    CAPTURE_DIR="$PWD/target/secrets" cargo test --locked -- --nocapture > target/secrets/output/suite 2>&1 \
        || { grep -aE -A3 '^error|^test .* FAILED|^test result: FAILED|^failures:|^    [a-z_:]+$|^thread .* panicked at |"event":"panic"' target/secrets/output/suite; exit 1; }
    CAPTURE_DIR="$PWD/target/secrets" cargo test --locked --test it secrets:: -- --ignored --nocapture

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

# nodes, Redis and the network between them die under load, more often than `cargo test` lets them
survive rounds="10":
    COUNTERSIGN_SURVIVAL_ROUNDS={{ rounds }} cargo test --locked --test it survival:: -- --nocapture

# what failovers, splits and kill -9 can lose where the configuration promises less than all: a table, in some minutes
failover-loss rounds="5":
    COUNTERSIGN_LOSS_ROUNDS={{ rounds }} cargo test --locked --test it survival::loss -- --ignored --nocapture

# format, lints, documentation: what must hold beside the tests
check:
    cargo fmt --check
    cargo fmt --check --manifest-path fuzz/Cargo.toml
    rustfmt --check --edition 2024 --config-path . tests/clients/rust/build.rs tests/clients/rust/src/*.rs examples/clients/*.rs
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# write the OpenAPI document anew; a test compares it with the code
openapi:
    cargo run --locked -- openapi --format json > openapi/countersign.json
    cargo run --locked -- openapi --format yaml > openapi/countersign.yaml

# whether programs that know the OpenAPI document of the last release work with this one (needs npm)
compatible:
    python3 tests/openapi/compatible.py

# the running server against its OpenAPI document: statuses, schemas, headers (needs schemathesis)
schemathesis *flags:
    cargo build --locked
    python3 tests/schemathesis/run.py {{ flags }}

# what two linters say of the OpenAPI document: nothing, not even a warning (needs npm)
lint-openapi:
    python3 tests/openapi/lint.py

# clients that generators make of the OpenAPI document, each against a running server: typescript, python, rust, go, or all (needs npm and Java)
clients *names:
    cargo build --locked
    python3 tests/clients/run.py {{ names }}

# what people do in a real browser, and whether everybody can: axe-core, Lighthouse (needs Chromium and npm)
browser:
    sh tests/browser/serve.sh story.mjs
    sh tests/browser/serve.sh access.mjs
    sh tests/browser/serve.sh dashboard.mjs

# inputs nobody thought of: cookies, tokens and JSON bodies, so many seconds each (needs cargo-fuzz and a C++ compiler)
fuzz seconds="60":
    @cargo fuzz --version > /dev/null 2>&1 || { echo 'cargo-fuzz is missing: cargo install cargo-fuzz --locked'; exit 1; }
    for target in cookie token json; do \
        mkdir -p "fuzz/corpus/$target" && \
        RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir fuzz --sanitizer none "$target" \
            "fuzz/corpus/$target" "fuzz/seeds/$target" -- -max_total_time={{ seconds }} -max_len=4096 || exit 1; \
    done

# look at every page in a real browser, and take the pictures of the README; that of the dashboard shows so many minutes (needs Chromium and npm)
screenshots minutes="10":
    sh tests/browser/screenshots.sh {{ minutes }}

# the load comparison with a plain handler and with peers, in target/bench/report.md (needs wrk, Redis and npm)
bench *flags:
    python3 benches/load {{ flags }}

# ten million sessions: size, start, speed, sweep, growth, in target/bench/size.md (needs wrk and 20 GB)
bench-size *flags:
    python3 benches/size {{ flags }}

# what accounts and sessions take in Redis, in bytes (needs redis-server)
bench-redis-size *flags:
    python3 benches/size/in_redis.py {{ flags }}

# what one request costs without sockets and disk, in nanoseconds, beside a handler of the bare framework
bench-requests *kind:
    cargo bench --locked --bench requests -- {{ kind }}

# what a visit and a check cost in the store alone, on the disk of `--dir`
bench-store *flags:
    cargo bench --locked --bench store -- {{ flags }}

# everything that runs before a change lands
ci:
    .ci/run
