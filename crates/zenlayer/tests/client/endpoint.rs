//! What is accepted as an endpoint, and what a person reads when it is not.

use zenlayer::{DEFAULT_ENDPOINT, Endpoint};

#[test]
fn accepts_scheme_host_and_port() {
    // name, text, Host header, loopback
    let table = [
        ("the documented host", DEFAULT_ENDPOINT, "console.zenlayer.com", false),
        (
            "the default port, written out",
            "https://console.zenlayer.com:443",
            "console.zenlayer.com",
            false,
        ),
        ("the default port of http", "http://localhost:80", "localhost", true),
        ("another port", "https://api.example:8443", "api.example:8443", false),
        ("the port of the other scheme", "https://api.example:80", "api.example:80", false),
        ("a slash at the end", "https://api.example/", "api.example", false),
        ("capitals", "HTTPS://API.Example", "api.example", false),
        ("blanks around it", " https://api.example ", "api.example", false),
        ("a name beyond ASCII", "https://müller.example", "xn--mller-kva.example", false),
        ("http to localhost", "http://localhost:18080", "localhost:18080", true),
        ("http to an address of loopback", "http://127.8.9.1:18080", "127.8.9.1:18080", true),
        ("http to IPv6 loopback", "http://[::1]:18080", "[::1]:18080", true),
        ("IPv6, the long way", "https://[2001:db8:0:0:0:0:0:1]", "[2001:db8::1]", false),
    ];
    for (name, text, host, loopback) in table {
        let endpoint =
            Endpoint::parse(text, false).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(endpoint.host_header(), host, "{name}");
        assert_eq!(endpoint.is_loopback(), loopback, "{name}");
        assert_eq!(endpoint.url().path(), "/api/v2/vm", "{name}");
        assert_eq!(endpoint.url().query(), None, "{name}");
        let shown = endpoint.to_string();
        assert_eq!(Endpoint::parse(&shown, false).as_ref(), Ok(&endpoint), "{name}: {shown}");
    }
}

#[test]
fn rejects_everything_else_with_a_remedy() {
    let only = "only https://HOST or https://HOST:PORT is accepted";
    let write = "write it as https://HOST or https://HOST:PORT";
    let insecure =
        "use https; http is accepted for loopback, elsewhere only where it is expressly allowed";
    // name, text, two parts of the message
    let table = [
        ("a path", "https://api.example/api/v2/vm", ["has a path", only]),
        ("two slashes", "https://api.example//", ["has a path", only]),
        ("a query", "https://api.example?x=1", ["has a query", only]),
        ("an empty query", "https://api.example/?", ["has a query", only]),
        ("a fragment", "https://api.example#x", ["has a fragment", only]),
        ("a user", "https://me@api.example", ["has a user name or password", only]),
        ("a password", "https://me:hunter2@api.example", ["has a user name or password", only]),
        ("a password and no host", "https://me:hunter2@", ["is not a URL", write]),
        ("no URL", "console.zenlayer.com", ["is not a URL", write]),
        ("nothing", "", ["is not a URL", write]),
        (
            "host and port without a scheme",
            "api.example:443",
            ["scheme \"api.example\"", "use https"],
        ),
        ("another scheme", "ftp://api.example", ["scheme \"ftp\"", "use https"]),
        ("no host", "https://", ["is not a URL", write]),
        ("a port that is no number", "https://api.example:x", ["is not a URL", write]),
        ("a port that is too high", "https://api.example:65536", ["is not a URL", write]),
        ("a broken IPv6 address", "https://[::1", ["is not a URL", write]),
        (
            "http to a host",
            "http://console.zenlayer.com",
            ["console.zenlayer.com is plain http", insecure],
        ),
        ("http to every address", "http://0.0.0.0:80", ["0.0.0.0 is plain http", insecure]),
        ("http to a name like localhost", "http://localhost.example", ["plain http", insecure]),
        (
            "http to IPv6",
            "http://[2001:db8::1]:8080",
            ["[2001:db8::1]:8080 is plain http", insecure],
        ),
    ];
    for (name, text, parts) in table {
        let error = Endpoint::parse(text, false).expect_err(name).to_string();
        for part in parts {
            assert!(error.contains(part), "{name}: {error:?} lacks {part:?}");
        }
        assert!(!error.contains("hunter2"), "{name}: {error:?}");
    }
}

#[test]
fn accepts_http_to_a_host_only_when_told_to() {
    let endpoint = Endpoint::parse("http://api.example", true).unwrap();
    assert_eq!((endpoint.host_header(), endpoint.is_loopback()), ("api.example", false));
    assert!(Endpoint::parse("http://api.example/path", true).is_err());
}
