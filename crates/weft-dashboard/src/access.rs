//! Who may look.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, Uri, header};

/// What a browser beyond loopback has to show, as `?token=…` or `Authorization: Bearer …`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// `None` for an empty text, which would keep nobody out.
    pub fn new(text: &str) -> Option<Secret> {
        (!text.is_empty()).then(|| Secret(text.to_owned()))
    }

    /// Takes as long wherever the texts differ.
    fn is(&self, shown: &str) -> bool {
        shown.len() == self.0.len()
            && shown.bytes().zip(self.0.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether this request is answered.
pub(crate) fn allowed(peer: SocketAddr, headers: &HeaderMap, uri: &Uri, secret: Option<&Secret>) -> bool {
    let knows = secret.is_some_and(|secret| {
        let bearer = text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let query = uri.query().unwrap_or("").split('&').find_map(|pair| pair.strip_prefix("token="));
        bearer.into_iter().chain(query).any(|shown| secret.is(shown))
    });
    // A page on the web may point a name of its own at 127.0.0.1; the request then says so.
    let local = peer.ip().is_loopback() && text(headers, header::HOST).is_some_and(is_loopback_name);
    knows || local
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(peer: &str, host: &str, query: &str, bearer: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(bearer) = bearer {
            headers.insert(header::AUTHORIZATION, format!("Bearer {bearer}").parse().unwrap());
        }
        let uri: Uri = format!("/api/state{query}").parse().unwrap();
        allowed(peer.parse().unwrap(), &headers, &uri, Secret::new("s3cret").as_ref())
    }

    #[test]
    fn loopback_is_open_under_its_own_name_only() {
        assert!(ask("127.0.0.1:5", "localhost:8787", "", None));
        assert!(ask("127.0.0.1:5", "127.0.0.1:8787", "", None));
        assert!(ask("[::1]:5", "[::1]:8787", "", None));
        assert!(!ask("127.0.0.1:5", "evil.example:8787", "", None));
    }

    #[test]
    fn others_need_the_secret() {
        assert!(!ask("10.0.0.7:5", "10.0.0.1:8787", "", None));
        assert!(!ask("10.0.0.7:5", "localhost:8787", "", None));
        assert!(!ask("10.0.0.7:5", "10.0.0.1:8787", "?token=s3cre", None));
        assert!(!ask("10.0.0.7:5", "10.0.0.1:8787", "?token=", Some("x")));
        assert!(ask("10.0.0.7:5", "10.0.0.1:8787", "?a=b&token=s3cret", None));
        assert!(ask("10.0.0.7:5", "10.0.0.1:8787", "", Some("s3cret")));
        assert!(Secret::new("").is_none());
    }
}
