//! The integration tests, in one binary: it links once, and its parts share their support code.

mod vectors;
