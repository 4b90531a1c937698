//! The client that build.rs has written.

include!(concat!(env!("OUT_DIR"), "/client.rs"));
