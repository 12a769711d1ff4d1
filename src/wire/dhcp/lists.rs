//! Options with a layout of their own: search domains and routes.

use std::net::Ipv4Addr;

use super::{DhcpOptions, OptionCode};

/// One route: the first address of a block, the length of its prefix, the router.
pub type RouteEntry = (Ipv4Addr, u8, Ipv4Addr);

impl DhcpOptions {
    /// Sets the domains in which a client looks up short names (119); an empty list removes the option.
    /// A label over 63 bytes is cut.
    ///
    /// Names are not compressed: every client accepts that, and some accept nothing else.
    /// Source: RFC 3397 §2; RFC 1035 §3.1.
    pub fn set_search_domains(&mut self, domains: &[String]) {
        let mut bytes = Vec::new();
        for domain in domains {
            for label in domain.split('.').filter(|label| !label.is_empty()) {
                let label = &label.as_bytes()[..label.len().min(63)];
                bytes.push(label.len() as u8);
                bytes.extend_from_slice(label);
            }
            bytes.push(0);
        }
        self.set_or_remove(OptionCode::DomainSearch, bytes);
    }

    /// Sets the routes (121); an empty list removes the option. A client that reads them ignores option
    /// 3, so they must include the default route, as 0.0.0.0/0.
    ///
    /// Source: RFC 3442.
    pub fn set_routes(&mut self, routes: &[RouteEntry]) {
        let mut bytes = Vec::new();
        for (address, prefix, router) in routes {
            let prefix = (*prefix).min(32);
            bytes.push(prefix);
            bytes.extend_from_slice(&address.octets()[..usize::from(prefix.div_ceil(8))]);
            bytes.extend(router.octets());
        }
        self.set_or_remove(OptionCode::ClasslessStaticRoute, bytes);
    }

    fn set_or_remove(&mut self, code: OptionCode, bytes: Vec<u8>) {
        if bytes.is_empty() {
            self.remove(code);
        } else {
            self.set_raw(code, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_domains_are_lists_of_labels() {
        let mut options = DhcpOptions::default();
        options.set_search_domains(&["eng.example".into(), "lab".into()]);
        let bytes = options.raw(OptionCode::DomainSearch);
        assert_eq!(bytes, Some(&b"\x03eng\x07example\0\x03lab\0"[..]));
        options.set_search_domains(&[]);
        assert!(!options.contains(OptionCode::DomainSearch));
    }

    /// The examples of RFC 3442's table.
    #[test]
    fn routes_hold_the_significant_bytes_of_their_destination() {
        let router = Ipv4Addr::new(10, 20, 0, 1);
        for (address, prefix, expected) in [
            ([0, 0, 0, 0], 0, &[0][..]),
            ([10, 0, 0, 0], 8, &[8, 10]),
            ([10, 17, 0, 0], 16, &[16, 10, 17]),
            ([10, 27, 129, 0], 24, &[24, 10, 27, 129]),
            ([10, 229, 0, 128], 25, &[25, 10, 229, 0, 128]),
            ([10, 198, 122, 47], 32, &[32, 10, 198, 122, 47]),
        ] {
            let mut options = DhcpOptions::default();
            options.set_routes(&[(address.into(), prefix, router)]);
            let expected = [expected, &router.octets()].concat();
            let bytes = options.raw(OptionCode::ClasslessStaticRoute);
            assert_eq!(bytes, Some(&expected[..]));
        }
    }
}
