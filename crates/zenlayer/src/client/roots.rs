//! Certificate authorities that are trusted besides those of the system.

use std::fmt;

use reqwest::Certificate;

/// Checked certificates; by default none.
#[derive(Clone, Default)]
pub struct ExtraRoots(Vec<Certificate>);

/// Why a file is no list of certificates, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRoots {
    /// There is no certificate in it.
    #[error(
        "it holds no certificate: a PEM file has lines from -----BEGIN CERTIFICATE----- to \
         -----END CERTIFICATE-----, one such block for each authority"
    )]
    Empty,
    /// A certificate that is none.
    #[error("a certificate in it cannot be read: write each as PEM, unchanged")]
    Unreadable(#[source] reqwest::Error),
}

impl ExtraRoots {
    /// Reads one or more certificates in PEM. Other blocks, such as keys, are passed over.
    ///
    /// # Errors
    ///
    /// [`InvalidRoots`].
    pub fn from_pem(bytes: &[u8]) -> Result<Self, InvalidRoots> {
        let roots = Certificate::from_pem_bundle(bytes).map_err(InvalidRoots::Unreadable)?;
        if roots.is_empty() {
            return Err(InvalidRoots::Empty);
        }
        // reqwest looks inside only when it builds a client.
        let trial = reqwest::Client::builder().tls_certs_only(roots.clone()).build();
        trial.map_err(InvalidRoots::Unreadable)?;
        Ok(Self(roots))
    }

    pub(super) fn certificates(&self) -> Vec<Certificate> {
        self.0.clone()
    }
}

impl fmt::Debug for ExtraRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtraRoots({})", self.0.len())
    }
}
