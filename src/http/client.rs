//! Where a request comes from: the address that attempts are counted under, and that the log tells.
//!
//! It is the connection's, which nobody can make up. Behind a proxy that would be the proxy's for
//! everybody, so a proxy that the operator trusts is asked whom it speaks for: it adds the address it
//! sees to `X-Forwarded-For`, at the end, whatever stood there before. So that header is read from its
//! end, for as long as it is a trusted proxy that speaks; what stands before that, anybody may have
//! written. `X-Real-IP` and `Forwarded` are never read: a proxy that does not set them lets them
//! through.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use poem::{Request, http::HeaderMap};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Where the request comes from. `None` for what is no connection by TCP.
pub(super) fn address(request: &Request, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = request.remote_addr().as_socket_addr()?.ip();
    Some(spoken_for(peer, request.headers(), trusted))
}

/// Whom the `peer` speaks for: itself, unless it is trusted.
fn spoken_for(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops {
        // What is no address says nothing: it is the proxy itself that asks, for all that is known.
        let Some(address) = std::str::from_utf8(hop).ok().and_then(parse) else {
            break;
        };
        client = address;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// An address as proxies write it: bare, or with a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    /// What is found behind `10.0.0.0/8` and `2001:db8::/32`.
    fn found(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        for other in ["x-real-ip", "forwarded", "client-ip"] {
            headers.append(other, HeaderValue::from_static("203.0.113.9"));
        }
        spoken_for(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_is_who_connects_whatever_they_write() {
        assert_eq!(found("192.0.2.1", &[]), "192.0.2.1");
        assert_eq!(found("192.0.2.1", &["203.0.113.1"]), "192.0.2.1");
        assert_eq!(found("::ffff:192.0.2.1", &["203.0.113.1"]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_is_believed_up_to_the_first_that_is_not() {
        assert_eq!(found("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(found("10.0.0.1", &["203.0.113.1, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(found("10.0.0.1", &["203.0.113.1, 192.0.2.7, 10.9.9.9"]), "192.0.2.7");
        // Several lines are one list, in their order.
        assert_eq!(found("10.0.0.1", &["203.0.113.1", "192.0.2.7", "10.9.9.9"]), "192.0.2.7");
        assert_eq!(found("2001:db8::1", &["2001:db9::1"]), "2001:db9::1");
        assert_eq!(found("::ffff:10.0.0.1", &["::ffff:192.0.2.7"]), "192.0.2.7");
        // A chain of proxies alone: the farthest of them.
        assert_eq!(found("10.0.0.1", &["10.0.0.3,10.0.0.2"]), "10.0.0.3");
        for hop in ["192.0.2.7:5000", " 192.0.2.7\t", "[::ffff:192.0.2.7]", "[::ffff:192.0.2.7]:1"]
        {
            assert_eq!(found("10.0.0.1", &[hop]), "192.0.2.7", "{hop}");
        }
    }

    #[test]
    fn what_is_no_address_is_the_nearest_proxys() {
        for hop in ["unknown", "", "192.0.2", "192.0.2.7;", "203.0.113.1 192.0.2.7", "_hidden"] {
            assert_eq!(found("10.0.0.1", &[&format!("203.0.113.1,{hop}")]), "10.0.0.1", "{hop}");
            let behind = format!("203.0.113.1,{hop},10.0.0.2");
            assert_eq!(found("10.0.0.1", &[&behind]), "10.0.0.2", "{hop}");
        }
    }
}
