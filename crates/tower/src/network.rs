//! Who asked: networks of trusted proxies, and the headers in which proxies name addresses. Pure.

use std::{net::IpAddr, str::FromStr};

use http::{HeaderMap, header::FORWARDED};

/// Addresses that have their first bits in common, such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// A text that names no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no network, expected an address such as `10.0.0.1`, or one with its bits such as `10.0.0.0/8`"
)]
pub struct NotANetwork(String);

/// The header in which proxies name the addresses that a request came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: addresses separated by commas.
    #[default]
    XForwardedFor,
    /// `Forwarded` of RFC 7239: the `for` of its elements.
    Forwarded,
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= bits_max).ok_or_else(wrong)?,
            None => bits_max,
        };
        Ok(Self { address, bits })
    }
}

impl Network {
    /// Whether the address is one of the network's. An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is
    /// taken for what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

/// The address of the client: the peer, or as long as that is a trusted proxy, whom it names.
pub(crate) fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    header: ForwardedHeader,
    trusted: &[Network],
) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    for named in named_last_first(headers, header) {
        // Whoever named it is trusted; but it names nobody.
        let Some(address) = named else { break };
        client = address.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// The addresses that the header names, the last one first; `None` for what is no address.
fn named_last_first(
    headers: &HeaderMap,
    header: ForwardedHeader,
) -> impl Iterator<Item = Option<IpAddr>> {
    let (name, read): (_, fn(&str) -> Option<IpAddr>) = match header {
        ForwardedHeader::XForwardedFor => ("x-forwarded-for", address),
        ForwardedHeader::Forwarded => (FORWARDED.as_str(), forwarded_for),
    };
    let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().ok()).collect();
    values.into_iter().rev().flat_map(move |value| {
        let elements = value.unwrap_or_default().rsplit(',');
        elements.map(move |element| read(element.trim()))
    })
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => text.rsplit_once(':')?.0,
    };
    host.parse().ok()
}

/// The `for` of one element: `by=…;for="[2001:db8::1]:4711";proto=https`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim();
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        name.trim().eq_ignore_ascii_case("for").then(|| address(quoted.unwrap_or(value)))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_is_the_addresses_that_begin_alike() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("192.168.1.128/25", "192.168.1.255", "192.168.1.127"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
        ] {
            assert!(network(text).contains(ip(inside)), "{text} {inside}");
            assert!(!network(text).contains(ip(outside)), "{text} {outside}");
        }
        for wrong in ["", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "host/8"] {
            assert_eq!(wrong.parse::<Network>(), Err(NotANetwork(wrong.to_owned())));
        }
    }

    fn client(peer: &str, header: ForwardedHeader, values: &[&'static str]) -> String {
        let name = match header {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        };
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, http::HeaderValue::from_static(value));
        }
        let trusted = [network("10.0.0.0/8"), network("fd00::/8")];
        client_address(ip(peer), &headers, header, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let of = |peer, values| client(peer, ForwardedHeader::XForwardedFor, values);
        assert_eq!(of("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(of("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(of("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_proxy() {
        let of = |values| client("10.0.0.1", ForwardedHeader::XForwardedFor, values);
        // What the client wrote itself stands in front.
        assert_eq!(of(&["1.1.1.1, 198.51.100.1, 10.0.0.7"]), "198.51.100.1");
        assert_eq!(of(&["1.1.1.1", "198.51.100.1,10.0.0.7", "fd00::1"]), "198.51.100.1");
        assert_eq!(of(&["10.0.0.9, 10.0.0.8"]), "10.0.0.9");
        assert_eq!(of(&["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(of(&["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(of(&["1.1.1.1, unknown, 10.0.0.7"]), "10.0.0.7");
        assert_eq!(of(&[""]), "10.0.0.1");
    }

    #[test]
    fn forwarded_names_addresses_in_its_elements() {
        let of = |values| client("10.0.0.1", ForwardedHeader::Forwarded, values);
        assert_eq!(of(&["for=192.0.2.60;proto=http;by=203.0.113.43"]), "192.0.2.60");
        assert_eq!(
            of(&["for=1.1.1.1, proto=https; For=\"[2001:db8::1]:4711\" , for=10.0.0.2"]),
            "2001:db8::1"
        );
        assert_eq!(of(&["for=_hidden, for=unknown"]), "10.0.0.1");
        assert_eq!(of(&["for=1.1.1.1, by=10.0.0.3"]), "10.0.0.1");
        let other = client("10.0.0.1", ForwardedHeader::XForwardedFor, &[]);
        assert_eq!(other, "10.0.0.1");
    }
}
