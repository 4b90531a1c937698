//! Attempts at a password, as they are counted: under which names, and how many there were.

use std::net::{IpAddr, Ipv6Addr};

use sha2::{Digest as _, Sha256};

use super::{Email, Timestamp};

/// The bits of an IPv6 address that name a customer's network. The rest is theirs to choose: 2^64
/// addresses that cost nothing.
const IPV6_NETWORK_BITS: u32 = 64;

/// Whose attempts are counted together.
///
/// IPv6 addresses of one /64 are one; an IPv4 address in the clothes of IPv6 is that IPv4 address.
/// Clients whose address is not known (none that comes by TCP) are one.
#[derive(Clone, Copy, Debug)]
pub enum CountedUnder<'a> {
    /// One account's, wherever they come from. It need not exist.
    Account(&'a Email),
    /// One address's, whatever account they are for.
    Address(Option<IpAddr>),
    /// Those for one account from one address.
    Both(&'a Email, Option<IpAddr>),
}

/// A name that attempts are counted under: a hash, which holds no e-mail and no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey([u8; Self::BYTES]);

impl AttemptKey {
    /// How many bytes a key has.
    pub const BYTES: usize = 16;

    /// The key of what is counted for `purpose` under that name.
    #[must_use]
    pub fn new(purpose: &str, name: CountedUnder<'_>) -> Self {
        let (email, from) = match name {
            CountedUnder::Account(email) => (Some(email), None),
            CountedUnder::Address(from) => (None, Some(from)),
            CountedUnder::Both(email, from) => (Some(email), Some(from)),
        };
        let mut hash = Sha256::new();
        // Neither text has a zero byte in it, so no two keys are made of the same bytes.
        hash.update(purpose);
        hash.update([0]);
        hash.update(email.map_or("", Email::as_str));
        hash.update([0, u8::from(from.is_some())]);
        hash.update(from.flatten().map(network).unwrap_or_default());
        let mut key = [0; Self::BYTES];
        key.copy_from_slice(&hash.finalize()[..Self::BYTES]);
        Self(key)
    }

    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes: as good as random.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

/// What stands for all addresses that one client can choose from.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => {
            let mask = u128::MAX << (u128::BITS - IPV6_NETWORK_BITS);
            Ipv6Addr::from_bits(address.to_bits() & mask).octets().to_vec()
        }
    }
}

/// The attempts that were counted under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// How many, since the first of them.
    pub count: u32,
    /// When they are forgotten: a window after the first of them.
    pub until: Timestamp,
}

impl Attempts {
    /// Whether they are forgotten at `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> AttemptKey {
        let address = Some(address.parse().unwrap());
        AttemptKey::new("log_in", CountedUnder::Address(address))
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_an_ipv4_address_is_one_however_it_is_written() {
        assert_eq!(from("2001:db8::1"), from("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(from("2001:db8::1"), from("2001:db8:0:1::1"));
        assert_eq!(from("192.0.2.1"), from("::ffff:192.0.2.1"));
        assert_ne!(from("192.0.2.1"), from("192.0.2.2"));
        assert_ne!(from("::ffff:192.0.2.1"), from("::ffff:192.0.2.2"), "no /64 of all IPv4");
    }

    #[test]
    fn every_purpose_account_and_address_has_a_key_of_its_own() {
        let (ann, bob) =
            (Email::parse("ann@example.com").unwrap(), Email::parse("bob@example.com").unwrap());
        let here = Some("192.0.2.1".parse().unwrap());
        let mut keys = Vec::new();
        for purpose in ["log_in", "sign_up"] {
            for email in [&ann, &bob] {
                keys.push(AttemptKey::new(purpose, CountedUnder::Account(email)));
                keys.push(AttemptKey::new(purpose, CountedUnder::Both(email, None)));
                keys.push(AttemptKey::new(purpose, CountedUnder::Both(email, here)));
            }
            keys.push(AttemptKey::new(purpose, CountedUnder::Address(None)));
            keys.push(AttemptKey::new(purpose, CountedUnder::Address(here)));
        }
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
