//! JSON bodies. What must come of an input is in `src/json.rs`.
#![no_main]

use std::cell::RefCell;

use countersign_fuzz::{Service, json};
use libfuzzer_sys::fuzz_target;

thread_local!(static SERVICE: RefCell<Service> = RefCell::new(Service::new()));

fuzz_target!(|data: &[u8]| SERVICE.with_borrow_mut(|service| json::check(service, data)));
