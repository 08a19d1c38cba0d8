//! Certificates of the TLS listener: of an own authority that is made at the start, or of files.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub enum Certificate {
    /// From an authority made now. Its certificate goes to `ca_file`; names are added to
    /// localhost, the loopback addresses, the listener's own, and the provider's host.
    Own { ca_file: Option<PathBuf>, names: Vec<String> },
    /// From PEM files.
    Files { certificate: PathBuf, key: PathBuf },
}

/// Why there is no TLS listener.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(
        "cannot read the certificate {path} of --tls-cert: {problem}; give a PEM file with the leaf certificate first"
    )]
    Certificate { path: PathBuf, problem: String },
    #[error(
        "cannot read the key {path} of --tls-key: {problem}; give a PEM file with one private key"
    )]
    Key { path: PathBuf, problem: String },
    #[error(
        "cannot use --tls-cert {certificate} with --tls-key {key}: {problem}; give the key that belongs to the certificate"
    )]
    Pair { certificate: PathBuf, key: PathBuf, problem: rustls::Error },
    #[error(
        "cannot make a certificate for the names of --tls-name: {0}; write host names or IP addresses"
    )]
    Make(#[from] rcgen::Error),
    #[error("cannot use the certificate that was made: {0}")]
    Own(rustls::Error),
    #[error(
        "cannot write the certificate authority to {path} of --tls-ca-file: {source}; choose a folder that can be written"
    )]
    Write { path: PathBuf, source: std::io::Error },
}

/// The host that the provider's clients sign (page "Request Structure").
const PROVIDER: &str = "console.zenlayer.com";

pub fn acceptor(certificate: &Certificate, address: SocketAddr) -> Result<TlsAcceptor, TlsError> {
    match certificate {
        Certificate::Own { ca_file, names } => own(ca_file.as_deref(), names, address),
        Certificate::Files { certificate, key } => from_files(certificate, key),
    }
}

fn own(
    ca_file: Option<&Path>,
    names: &[String],
    address: SocketAddr,
) -> Result<TlsAcceptor, TlsError> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "zenlayer-sim authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut all = ["localhost", "127.0.0.1", "::1", PROVIDER].map(str::to_owned).to_vec();
    all.push(address.ip().to_string());
    all.extend(names.iter().cloned());
    let mut leaf = CertificateParams::new(all)?;
    leaf.distinguished_name.push(DnType::CommonName, "zenlayer-sim");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Verifiers such as Python's OpenSSL refuse a leaf without it.
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &authority)?;

    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|error| TlsError::Own(rustls::Error::General(error.to_owned())))?;
    let acceptor = with(vec![leaf.der().clone()], key).map_err(TlsError::Own)?;
    if let Some(path) = ca_file {
        std::fs::write(path, authority.pem())
            .map_err(|source| TlsError::Write { path: path.to_owned(), source })?;
    }
    Ok(acceptor)
}

fn from_files(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let refused = |problem: String| TlsError::Certificate { path: certificate.into(), problem };
    let chain = CertificateDer::pem_file_iter(certificate)
        .map_err(|error| refused(error.to_string()))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refused(error.to_string()))?;
    if chain.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| TlsError::Key { path: key.into(), problem: error.to_string() })?;
    with(chain, private).map_err(|problem| TlsError::Pair {
        certificate: certificate.into(),
        key: key.into(),
        problem,
    })
}

fn with(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
