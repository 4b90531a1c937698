//! The integration tests, in one binary, and on purpose: every file in `tests/` is a program of its
//! own that links the whole service (seconds and a hundred megabytes each), and shares nothing with
//! the others but by being compiled into each. Here it links once, the support code is a module, and
//! `cargo test --test it races` still picks a subject.
//!
//! | module | what it shows |
//! |---|---|
//! | `tutorial` | the main story, from sign-up to logout, through restarts and `kill -9` |
//! | `pages`, `api`, `own_sessions`, `account`, `administration` | every page and every operation |
//! | `cookies`, `headers`, `csrf` | the rules that hold for every route |
//! | `bad_input`, `bad_requests` | whatever is sent: a 4xx that repeats nothing and changes nothing |
//! | `fuzzed` | what fuzzing found or starts from, through the same checks |
//! | `attacks` | the attack corpus: forged, old and misplaced tokens, on every protected route |
//! | `tokens`, `clones`, `credentials` | the life of tokens, copied ones, and how they travel |
//! | `opaque` | tokens that do not say whose they are |
//! | `passwords` | what new ones must be, and that they are taken as they were typed |
//! | `asvs` | requirements of OWASP ASVS that belong to no other subject |
//! | `throttle`, `hashing` | how many attempts at passwords there may be, and how many at once |
//! | `races`, `failures`, `crash` | many at once; a store that fails; `kill -9` under load |
//! | `backup` | everything into a file and back, by the real binary |
//! | `kernel` | the real binary under strace: what is synced before what is answered; real EIO |
//! | `embed` | the library: the service in an app of one's own |
//! | `upkeep` | what is over leaves the store |
//! | `audit` | who did what, when, and from where, as it is kept |
//! | `secrets` | all that the suite made the service write, and no secret in it: `just secrets` |
//! | `logs`, `metrics` | what operators see, and what nobody must |
//! | `dashboard` | what they see and do in a browser, and who else cannot |
//! | `openapi`, `layers`, `documents` | the committed document; the architecture; what the README says |
//! | `cli` | the real binary: its command line, its start and its end |
//! | `store_contract` | what every store must do, run on each |
//! | `store_machine`, `store_history` | random series, and many at once: each store answers as a plain model |
//! | `store_redis` | the store on a real Redis: its library lost, killed, frozen, refused, and how much it asks |
//! | `store_cluster` | the store in shards: claims to e-mails, backups, slots that move |
//! | `nodes_cluster` | several real servers on a real cluster, whose nodes die |
//! | `nodes`, `node_keys` | several real servers on one Redis, and the keys they share |
//! | `survival` | and what they survive: killed, cut off, failed over, all of it under load |
//! | `store_durability` | what the embedded store does when disks fail and processes end |
//! | `vectors` | published attacks on signatures and tokens |
//!
//! They run on `support`: the real server in this process on a clock that is moved by hand, or the
//! real binary. A new subject is a file here and its `mod` below; the name of a test is a sentence.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod administration;
mod api;
mod asvs;
mod attacks;
mod audit;
mod backup;
mod bad_input;
mod bad_requests;
mod cli;
mod clones;
mod cookies;
mod crash;
mod credentials;
mod csrf;
mod dashboard;
mod documents;
mod embed;
mod failures;
mod fuzzed;
mod hashing;
mod headers;
mod kernel;
mod key_files;
mod layers;
mod logs;
mod metrics;
mod node_keys;
mod nodes;
mod nodes_cluster;
mod opaque;
mod openapi;
mod own_sessions;
mod pages;
mod passwords;
mod races;
mod secrets;
mod store_cluster;
mod store_contract;
mod store_durability;
mod store_history;
mod store_machine;
mod store_redis;
mod store_world;
mod support;
mod survival;
mod throttle;
mod tokens;
mod tutorial;
mod upkeep;
mod vectors;
