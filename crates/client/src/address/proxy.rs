//! Which proxy stands between the client and its server. Pure: the environment is a parameter.

use ureq::http::Uri;

/// What the builder was told about proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProxyChoice {
    /// Whatever the environment says.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// This one.
    Url(String),
}

impl ProxyChoice {
    /// The address of the proxy to use for `url`. A server on this machine is never asked for through a proxy that
    /// only the environment names.
    pub(crate) fn url(
        &self,
        url: &Uri,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        match self {
            Self::Direct => None,
            Self::Url(proxy) => Some(proxy.clone()),
            Self::Environment => from_environment(url, variable),
        }
    }
}

fn from_environment(url: &Uri, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let host = url.host()?.trim_matches(['[', ']']);
    let said = |names: &[&str]| {
        names.iter().find_map(|name| variable(name).filter(|value| !value.trim().is_empty()))
    };
    let excepted = said(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    if is_this_machine(host) || excepted.split(',').any(|entry| is_excepted(host, entry.trim())) {
        return None;
    }
    match url.scheme_str() {
        Some("https") => said(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
        // Upper-case HTTP_PROXY is what a CGI program gets from a request's `Proxy` header (httpoxy).
        _ => said(&["http_proxy", "ALL_PROXY", "all_proxy"]),
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `*`, a host, or a domain with all hosts below it, with or without a dot or `*.` in front.
fn is_excepted(host: &str, entry: &str) -> bool {
    if entry == "*" {
        return true;
    }
    let domain = entry.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    !domain.is_empty()
        && host
            .strip_suffix(domain.as_str())
            .is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        ProxyChoice::Environment.url(&url.parse().unwrap(), variable)
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        let variables =
            [("HTTPS_PROXY", "http://tls:1"), ("http_proxy", "http://plain:2"), ("no_proxy", "")];
        assert_eq!(chosen("https://logs.example", &variables).unwrap(), "http://tls:1");
        assert_eq!(chosen("http://logs.example", &variables).unwrap(), "http://plain:2");
        assert_eq!(chosen("https://a", &[("ALL_PROXY", "socks5://x")]).unwrap(), "socks5://x");
        assert_eq!(chosen("http://a", &[("HTTP_PROXY", "http://from-a-request")]), None);
        assert_eq!(chosen("http://a", &[]), None);
    }

    #[test]
    fn no_proxy_excepts_hosts_and_domains() {
        let through = |host: &str, excepted: &str| {
            let variables = [("ALL_PROXY", "http://p"), ("NO_PROXY", excepted)];
            chosen(&format!("http://{host}:4480"), &variables).is_some()
        };
        assert!(through("logs.example", "other.example, ample"));
        for excepted in ["*", "logs.example", "example", ".example", "*.example", "x,LOGS.example"]
        {
            assert!(!through("logs.example", excepted), "{excepted}");
        }
        for local in ["localhost", "127.0.0.1", "[::1]"] {
            assert!(!through(local, "x"), "{local}");
        }
    }

    #[test]
    fn what_was_chosen_by_hand_counts_whatever_the_environment_says() {
        let url: Uri = "http://127.0.0.1:4480".parse().unwrap();
        let variable = |_: &str| Some("http://environment".to_owned());
        assert_eq!(ProxyChoice::Direct.url(&url, variable), None);
        let proxy = ProxyChoice::Url("http://mine".to_owned());
        assert_eq!(proxy.url(&url, variable).unwrap(), "http://mine");
    }
}
