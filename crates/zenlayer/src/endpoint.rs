//! Where the provider's API is: scheme, host and port, and nothing else.

use url::{Host, Url};

/// The documented host, the only one, and the default of all official clients.
pub const DEFAULT_ENDPOINT: &str = "https://console.zenlayer.com";
/// The path of every call of the `vm` service.
const PATH: &str = "/api/v2/vm";

/// A checked endpoint. It is parsed from `https://HOST` or `https://HOST:PORT`; plain http is accepted
/// for loopback, and elsewhere only by [`parse`](Self::parse).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    base: Url,
    host_header: String,
}

/// Why a string is no endpoint, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// It is not a URL.
    #[error("endpoint {got:?} is not a URL: write it as https://HOST or https://HOST:PORT")]
    NotAUrl {
        /// The text, without what may be a password in it.
        got: String,
        /// Why it is none.
        source: url::ParseError,
    },
    /// Neither https nor http.
    #[error("endpoint scheme {0:?} is not supported: use https")]
    Scheme(String),
    /// No host.
    #[error("endpoint has no host: write it as https://HOST or https://HOST:PORT")]
    NoHost,
    /// A part that no endpoint has.
    #[error("endpoint has a {part}: remove it, only https://HOST or https://HOST:PORT is accepted")]
    Part {
        /// Its name, such as `path`.
        part: &'static str,
    },
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
    /// Parses `scheme://host[:port]`. Plain http only for loopback or with `allow_insecure`: whoever
    /// is on the way can then read every request, and use what authorises it.
    ///
    /// # Errors
    ///
    /// [`InvalidEndpoint`], whose text says what to write instead and never shows a password.
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

impl std::str::FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        Self::parse(text, false)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.base.scheme(), self.host_header)
    }
}
