//! The server behind a proxy, and how it is reached.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use http_body_util::Full;
use hyper::{
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

pub type Sender = SendRequest<Full<Bytes>>;

/// A server on this machine.
#[derive(Clone)]
pub struct Upstream {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Upstream {
    /// `http://ADDRESS:PORT`.
    pub fn plain(url: &str) -> Self {
        let address = url.strip_prefix("http://").and_then(|rest| rest.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{url} is no http://ADDRESS:PORT"));
        Self { address, tls: None }
    }

    /// The API server of a kubeconfig as the harness writes them.
    pub fn of_kubeconfig(config: &Value) -> Self {
        let cluster = &config["clusters"][0]["cluster"];
        let server = cluster["server"].as_str().expect("a kubeconfig names a server");
        let Some(address) = server.strip_prefix("https://") else { return Self::plain(server) };
        let ca = cluster["certificate-authority"].as_str().expect("a CA in a file");
        Self {
            address: address.parse().expect("the server is on this machine"),
            tls: Some(connector(Path::new(ca))),
        }
    }

    /// A connection of its own.
    pub async fn connect(&self) -> io::Result<Sender> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => speak(TokioIo::new(stream)).await,
            Some(connector) => {
                let name = ServerName::from(self.address.ip());
                speak(TokioIo::new(connector.connect(name, stream).await?)).await
            }
        }
    }
}

async fn speak<T>(stream: T) -> io::Result<Sender>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
    // It ends with its sender; what goes wrong is told to whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}

fn connector(ca: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca).expect("the CA's file can be read");
    for certificate in certificates {
        let certificate = certificate.expect("the CA's file holds certificates");
        // The chain of a self-signed server holds the server's own certificate too.
        let _ = roots.add(certificate);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}
