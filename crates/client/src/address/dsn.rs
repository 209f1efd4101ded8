//! A data source name: the server's address and the key in one text, `https://KEY@HOST[:PORT][/PATH]`. Pure.

use ureq::http::Uri;

/// What a DSN says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dsn {
    pub(crate) endpoint: String,
    pub(crate) api_key: String,
}

impl Dsn {
    /// Reads a DSN; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.trim().parse().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
        let (key, address) = uri.authority()?.as_str().rsplit_once('@')?;
        let is_plain = !key.is_empty() && !key.contains(':') && !address.is_empty();
        (is_plain && uri.query().is_none()).then(|| Self {
            endpoint: format!("{scheme}://{address}{}", uri.path().trim_end_matches('/')),
            api_key: key.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_is_an_address_with_a_key_in_it() {
        let dsn = Dsn::parse(" https://mp_key@logs.example:4480/behind/a/proxy/ ").unwrap();
        assert_eq!(dsn.endpoint, "https://logs.example:4480/behind/a/proxy");
        assert_eq!(dsn.api_key, "mp_key");
        assert_eq!(Dsn::parse("http://k@[::1]:1").unwrap().endpoint, "http://[::1]:1");
        for wrong in ["", "https://logs.example", "https://@host", "https://u:p@host", "ftp://k@h"]
        {
            assert_eq!(Dsn::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Dsn::parse("https://k@host?x=1"), None);
        assert_eq!(Dsn::parse("mp_key@host"), None);
    }
}
