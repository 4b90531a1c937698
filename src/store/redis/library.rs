//! The functions that run in Redis: one library, put together from the files of `functions/`.
//!
//! Its name, and that of each function, ends in a hash of its text. So nodes of two versions of the
//! program work on one Redis side by side, each with the functions it was built for, and an upgrade
//! needs no order. A library that nobody calls any more is some kilobytes, and `FUNCTION DELETE`
//! removes it.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// In this order: a function can use what stands before it.
const FILES: [&str; 10] = [
    include_str!("functions/common.lua"),
    include_str!("functions/generations.lua"),
    include_str!("functions/audit.lua"),
    include_str!("functions/sessions.lua"),
    include_str!("functions/accounts.lua"),
    include_str!("functions/claims.lua"),
    include_str!("functions/attempts.lua"),
    include_str!("functions/upkeep.lua"),
    include_str!("functions/keys.lua"),
    include_str!("functions/ends.lua"),
];

/// What stands for the version in the files.
const VERSION_MARK: &str = "@VERSION@";

/// The first 8 hexadecimal digits of the hash.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = Sha256::digest(FILES.concat());
    format!("{:08x}", u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]))
});

/// What `FUNCTION LOAD` is given.
pub(super) static LIBRARY: LazyLock<String> = LazyLock::new(|| {
    format!("#!lua name=countersign_{}\n{}", *VERSION, FILES.concat())
        .replace(VERSION_MARK, &VERSION)
});

/// The name of a function in Redis.
pub(super) fn function(name: &str) -> String {
    format!("cs_{name}_{}", *VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_the_library_has_the_name_that_is_called() {
        let version = VERSION.as_str();
        assert!(version.len() == 8 && version.chars().all(|c| c.is_ascii_hexdigit()));
        assert!(LIBRARY.starts_with(&format!("#!lua name=countersign_{version}\n")));
        assert!(LIBRARY.contains(&format!("'cs_' .. name .. '_{version}'")));
        assert!(!LIBRARY.contains(VERSION_MARK));
        assert_eq!(function("visit"), format!("cs_visit_{version}"));
    }
}
