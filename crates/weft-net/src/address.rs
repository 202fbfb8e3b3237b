//! Where a server listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::NetError;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// In this process, by name; empty: any free one.
    InProcess(String),
    Unix(PathBuf),
    /// Host and port; port 0: any free one.
    Tcp(String, u16),
    /// The same with TLS, for which both sides need certificates.
    Tls(String, u16),
}

impl FromStr for Address {
    type Err = NetError;

    /// Without a scheme, `host:port` is TCP, as in Dask.
    fn from_str(text: &str) -> Result<Self, NetError> {
        let wrong = || NetError::Address(text.to_owned());
        if let Some(name) = text.strip_prefix("inproc://") {
            return Ok(Address::InProcess(name.to_owned()));
        }
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Address::Unix(path.into())) };
        }
        let (tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some(("tcp", rest)) => (false, rest),
            Some(("tls", rest)) => (true, rest),
            Some(_) => return Err(wrong()),
        };
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match port.parse() {
            Ok(port) if !host.is_empty() && tls => Ok(Address::Tls(host.to_owned(), port)),
            Ok(port) if !host.is_empty() => Ok(Address::Tcp(host.to_owned(), port)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::InProcess(name) => write!(f, "inproc://{name}"),
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp(host, port) if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "tcp://{host}:{port}"),
            Address::Tls(host, port) if host.contains(':') => write!(f, "tls://[{host}]:{port}"),
            Address::Tls(host, port) => write!(f, "tls://{host}:{port}"),
        }
    }
}

impl Address {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Address::InProcess(_) | Address::Unix(_) => true,
            Address::Tcp(host, _) | Address::Tls(host, _) => {
                host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_being_written() {
        for text in [
            "inproc://a",
            "unix:///tmp/x y",
            "tcp://127.0.0.1:80",
            "tcp://[::1]:80",
            "tcp://host:0",
            "tls://h:1",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("127.0.0.1:8786".parse::<Address>().unwrap().to_string(), "tcp://127.0.0.1:8786");
        for text in ["", "host", "tcp://:1", "tcp://h:99999", "unix://", "http://h:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert!("tcp://[::1]:1".parse::<Address>().unwrap().is_local());
        assert!(!"tcp://0.0.0.0:1".parse::<Address>().unwrap().is_local());
    }
}
