//! The proxies whose word is taken.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess},
};

const EXPECTED: &str = "networks such as 10.0.0.0/8 or addresses, in a list or with commas between";

/// Networks whose addresses are believed when they say for whom they ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// The networks. Addresses of IPv4 are written as such.
    #[must_use]
    pub fn networks(&self) -> Vec<IpNet> {
        self.0.clone()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    // A single address is a network of one.
    let network: IpNet = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    Some(network.trunc())
}

impl Serialize for Proxies {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

impl<'de> Deserialize<'de> for Proxies {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Networks)
    }
}

struct Networks;

impl<'de> de::Visitor<'de> for Networks {
    type Value = Proxies;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Proxies, E> {
        let texts = text.split(',').filter(|text| !text.trim().is_empty());
        let networks = texts.map(|text| network(text).ok_or_else(refused));
        networks.collect::<Result<_, _>>().map(Proxies)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Proxies, A::Error> {
        let mut networks = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            networks.push(network(&text).ok_or_else(refused)?);
        }
        Ok(Proxies(networks))
    }
}

fn refused<E: de::Error>() -> E {
    E::custom(format_args!("expected {EXPECTED}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Vec<String>, String> {
        #[derive(Deserialize)]
        struct File {
            key: Proxies,
        }
        let file: File = toml::from_str(&format!("key = {toml}")).map_err(|e| e.to_string())?;
        Ok(file.key.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn networks_come_in_a_list_or_in_one_text() {
        let both = ["10.0.0.0/8", "2001:db8::1/128"].map(String::from).to_vec();
        assert_eq!(read("['10.1.2.3/8', '2001:db8::1']"), Ok(both.clone()));
        assert_eq!(read("'10.0.0.0/8, 2001:db8::1'"), Ok(both));
        assert_eq!(read("''"), Ok(vec![]));
        assert_eq!(read("[]"), Ok(vec![]));
        for bad in ["'10.0.0.0/33'", "['proxy.example.com']", "'10.0.0.0/8 10.1.0.0/16'", "['']"] {
            assert!(read(bad).unwrap_err().contains("expected networks such as"), "{bad}");
        }
        assert!(read("7").unwrap_err().contains("expected networks such as"));
    }
}
