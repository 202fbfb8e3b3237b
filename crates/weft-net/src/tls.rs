//! TLS 1.3 in which both sides show a certificate of one of the cluster's authorities.
//!
//! Whoever has such a certificate belongs to the cluster, whatever machine it runs on: names in certificates are
//! not compared with addresses, which change from run to run.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::NetError;

/// A process's certificate with its key, and the authorities that it believes.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// Not what is in it: one part is a private key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

impl Tls {
    /// From texts in PEM: certificates of authorities, this process's certificate (with those between it and an
    /// authority), and its key.
    pub fn from_pem(authorities: &[u8], certificate: &[u8], key: &[u8]) -> Result<Tls, NetError> {
        let wrong = |what: &str, error: &dyn fmt::Display| NetError::Tls(format!("{what}: {error}"));
        let read = |what: &str, pem: &[u8]| -> Result<Vec<CertificateDer<'static>>, NetError> {
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let found = found.map_err(|e| wrong(what, &e))?;
            if found.is_empty() { Err(wrong(what, &"there is no certificate in it")) } else { Ok(found) }
        };
        let mut roots = RootCertStore::empty();
        for authority in read("the authorities' certificates", authorities)? {
            roots.add(authority).map_err(|e| wrong("an authority's certificate", &e))?;
        }
        let roots = Arc::new(roots);
        let chain = read("the certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| wrong("the private key", &e))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|e| wrong("the authorities' certificates", &e))?;
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(|e| wrong("TLS 1.3", &e))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(|e| wrong("certificate and key", &e))?;
        let any_name =
            AnyName::new(roots, &provider).map_err(|e| wrong("the authorities' certificates", &e))?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|e| wrong("TLS 1.3", &e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(any_name))
            .with_client_auth_cert(chain, key)
            .map_err(|e| wrong("certificate and key", &e))?;
        Ok(Tls { server: Arc::new(server), client: Arc::new(client) })
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, NetError> {
        let accepted = TlsAcceptor::from(self.server.clone()).accept(stream).await;
        accepted.map(TlsStream::from).map_err(|e| NetError::Tls(e.to_string()))
    }

    pub(crate) async fn call(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, NetError> {
        // Says nothing to us, and must be some name.
        let name = ServerName::try_from("weft").map_err(|e| NetError::Tls(e.to_string()))?;
        let connected = TlsConnector::from(self.client.clone()).connect(name, stream).await;
        connected.map(TlsStream::from).map_err(|e| NetError::Tls(e.to_string()))
    }
}

/// Everything about a server's certificate is checked but the name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl AnyName {
    fn new(
        roots: Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<AnyName, rustls::server::VerifierBuilderError> {
        WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build().map(AnyName)
    }
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(certificate, between, name, ocsp, now) {
            // The name is looked at last, when all else is well.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// An authority of its own and a certificate by it, both new: for clusters that live as long as a program. PEM texts:
/// authority, certificate, key.
pub fn temporary_certificates() -> Result<(String, String, String), NetError> {
    let failed = |error: rcgen::Error| NetError::Tls(format!("a certificate could not be made: {error}"));
    let authority_key = rcgen::KeyPair::generate().map_err(failed)?;
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).map_err(failed)?;
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "weft temporary authority");
    let authority = parameters.self_signed(&authority_key).map_err(failed)?;
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().map_err(failed)?;
    let mut parameters = rcgen::CertificateParams::new(vec!["weft".to_owned()]).map_err(failed)?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "weft");
    let certificate = parameters.signed_by(&key, &issuer).map_err(failed)?;
    Ok((authority.pem(), certificate.pem(), key.serialize_pem()))
}
