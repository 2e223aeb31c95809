//! TLS to the database.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A way to a database for which one of the certificates in this file vouches, by the name of its host.
pub(super) fn connector(root_certificates: &Path) -> io::Result<MakeRustlsConnect> {
    let unusable = |why: &dyn std::fmt::Display| {
        let path = root_certificates.display();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the certificates in {path} cannot be used: {why}"),
        )
    };
    let mut roots = RootCertStore::empty();
    let found =
        CertificateDer::pem_file_iter(root_certificates).map_err(|error| unusable(&error))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"there is none"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
