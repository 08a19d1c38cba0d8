//! Where the provider's API is: scheme, host and port, and nothing else.

use url::{Host, Url};

/// The documented host (fact sheet section 1).
pub const DEFAULT_ENDPOINT: &str = "https://console.zenlayer.com";
/// The path of every call of the `vm` service.
const PATH: &str = "/api/v2/vm";

/// A checked endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    base: Url,
    host_header: String,
}

/// Why a string is no endpoint, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    #[error("endpoint {got:?} is not a URL: write it as https://HOST or https://HOST:PORT")]
    NotAUrl { got: String, source: url::ParseError },
    #[error("endpoint scheme {0:?} is not supported: use https")]
    Scheme(String),
    #[error("endpoint has no host: write it as https://HOST or https://HOST:PORT")]
    NoHost,
    #[error("endpoint has a {part}: remove it, only https://HOST or https://HOST:PORT is accepted")]
    Part { part: &'static str },
    /// Plain http to a host that is not this machine, and nobody allowed it.
    #[error(
        "endpoint {host} is plain http: use https; http is accepted for loopback, elsewhere only \
         where it is expressly allowed"
    )]
    Insecure {
        /// Host and port, as in the `Host` header.
        host: String,
    },
}

impl Endpoint {
    /// Parses `scheme://host[:port]`. Plain http only for loopback or with `allow_insecure`.
    pub fn parse(text: &str, allow_insecure: bool) -> Result<Self, InvalidEndpoint> {
        let mut base = Url::parse(text).map_err(|source| {
            // Before an @ there may be a password.
            let got = text.rsplit_once('@').map_or(text, |(_, rest)| rest).to_owned();
            InvalidEndpoint::NotAUrl { got, source }
        })?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(InvalidEndpoint::Scheme(base.scheme().to_owned()));
        }
        for (present, part) in [
            (!base.username().is_empty() || base.password().is_some(), "user name or password"),
            (base.path() != "/", "path"),
            (base.query().is_some(), "query"),
            (base.fragment().is_some(), "fragment"),
        ] {
            if present {
                return Err(InvalidEndpoint::Part { part });
            }
        }
        let host =
            base.host_str().filter(|host| !host.is_empty()).ok_or(InvalidEndpoint::NoHost)?;
        // The url crate drops the scheme's default port, and so does the Host header that is sent.
        let host_header = match base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        base.set_path(PATH);
        let endpoint = Self { base, host_header };
        if endpoint.base.scheme() == "http" && !endpoint.is_loopback() && !allow_insecure {
            return Err(InvalidEndpoint::Insecure { host: endpoint.host_header });
        }
        Ok(endpoint)
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        match self.base.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// The URL of every call.
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// The `Host` header as it is sent and signed.
    pub fn host_header(&self) -> &str {
        &self.host_header
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.base.scheme(), self.host_header)
    }
}
