//! TLS 1.3 (RFC 8446) with raw public keys (RFC 7250): both sides prove that they have the device key that
//! they name, and there are no certificates and no authorities.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig,
    SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::HANDSHAKE_TIME;
use super::error::NetError;
use super::identity::{Fingerprint, Identity};
use crate::entry::Author;

/// What both sides name as the protocol inside (RFC 7301): whoever speaks something else is told so.
pub(super) const ALPN: &[u8] = b"osmdb-sync";

/// An ed25519 key as SubjectPublicKeyInfo (RFC 8410), up to the 32 bytes of the key.
const PUBLIC_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An ed25519 key as PrivateKeyInfo (RFC 8410), up to the 32 bytes of the secret.
const PRIVATE_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// After a handshake has failed, so many bytes are passed over, that the peer hears why.
const MAX_PASSED_OVER: u64 = 64 << 10;

/// Decides whether the holder of a key is a peer.
///
/// ```
/// use std::sync::Arc;
/// use osmdb::net::Admit;
/// # let friend = osmdb::Db::in_memory("osm")?.author()?;
/// let friends: Admit = Arc::new(move |key| *key == friend);
/// assert!(friends(&friend));
/// # Ok::<(), osmdb::Error>(())
/// ```
pub type Admit = Arc<dyn Fn(&Author) -> bool + Send + Sync>;

/// A stream that nobody else can read or change, to the holder of a key.
///
/// ```
/// use std::sync::Arc;
/// use osmdb::net::{Identity, Secured};
/// # use osmdb::Db;
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (hilltop, riverside) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// let (here, there) = (Identity::of(&hilltop)?, Identity::of(&riverside)?);
/// let (left, right) = tokio::io::duplex(1_000);
/// let (left, right) = tokio::join!(
///     Secured::connect(left, &here, Arc::new(|_| true)),
///     Secured::accept(right, &there, Arc::new(|_| true)),
/// );
/// assert_eq!((left?.peer(), right?.peer()), (riverside.author()?, hilltop.author()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Secured<T> {
    stream: TlsStream<T>,
    peer: Author,
    ours: Fingerprint,
}

impl<T> fmt::Debug for Secured<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Secured<T> {
    /// Secures a stream, on the side that called. The peer proves its key before `admit` is asked about it.
    ///
    /// # Errors
    /// [`UnknownPeer`](NetError::UnknownPeer) if the key is not admitted; the peer is no peer, or silent.
    pub async fn connect(stream: T, identity: &Identity, admit: Admit) -> Result<Self, NetError> {
        let keys = Arc::new(Keys::new(admit, identity.fingerprint()));
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(handshake)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&keys) as Arc<dyn ServerCertVerifier>);
        let own = Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(identity)?));
        let mut config = config.with_client_cert_resolver(own);
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed connection would prove nothing.
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        let name = ServerName::try_from("osmdb").map_err(|error| handshake(&error))?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream).into_fallible();
        keys.met(connecting).await
    }

    /// Secures a stream, on the side that was called. As [`connect`](Self::connect); a peer that is not admitted
    /// is told so.
    ///
    /// # Errors
    /// As for `connect`.
    pub async fn accept(stream: T, identity: &Identity, admit: Admit) -> Result<Self, NetError> {
        let keys = Arc::new(Keys::new(admit, identity.fingerprint()));
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(handshake)?
            .with_client_cert_verifier(Arc::clone(&keys) as Arc<dyn ClientCertVerifier>);
        let own = Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(identity)?));
        let mut config = config.with_cert_resolver(own);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        let accepting = TlsAcceptor::from(Arc::new(config)).accept(stream).into_fallible();
        keys.met(accepting).await
    }

    /// Returns the key that the peer has proved.
    #[must_use]
    pub const fn peer(&self) -> Author {
        self.peer
    }
}

fn handshake(error: impl fmt::Display) -> NetError {
    NetError::Handshake { reason: error.to_string() }
}

/// Tells whether the other side has said that it does not admit the key here.
fn is_denial(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(rustls::Error::AlertReceived(AlertDescription::AccessDenied)))
}

fn certified(identity: &Identity) -> Result<Arc<CertifiedKey>, NetError> {
    let secret = [&PRIVATE_HEAD[..], identity.secret()].concat();
    let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(secret)).map_err(handshake)?;
    let public = [&PUBLIC_HEAD[..], identity.author().as_bytes()].concat();
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], key)))
}

/// Looks at the key of the other side.
struct Keys {
    admit: Admit,
    ours: Fingerprint,
    provider: CryptoProvider,
    met: OnceLock<Author>,
    refused: OnceLock<Author>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("met", &self.met).finish_non_exhaustive()
    }
}

impl Keys {
    fn new(admit: Admit, ours: Fingerprint) -> Self {
        let provider = ring::default_provider();
        Self { admit, ours, provider, met: OnceLock::new(), refused: OnceLock::new() }
    }

    /// Waits for a handshake, and says what its failure means.
    async fn met<T, U>(
        &self,
        shaking: impl Future<Output = Result<U, (io::Error, T)>>,
    ) -> Result<Secured<T>, NetError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
        U: Into<TlsStream<T>>,
    {
        match timeout(HANDSHAKE_TIME, shaking).await {
            Err(_) => Err(NetError::SlowHandshake),
            Ok(Ok(stream)) => self.secured(stream.into()),
            Ok(Err((error, mut stream))) => {
                // An alert is on its way; a connection that goes too early may take it along.
                let passed_over = async {
                    stream.shutdown().await?;
                    tokio::io::copy(&mut stream.take(MAX_PASSED_OVER), &mut tokio::io::sink()).await
                };
                let _ = timeout(HANDSHAKE_TIME / 5, passed_over).await;
                Err(match self.refused.get() {
                    Some(key) => NetError::UnknownPeer { key: *key },
                    None if is_denial(&error) => NetError::NotKnownThere { ours: self.ours },
                    None => handshake(error),
                })
            }
        }
    }

    fn secured<T>(&self, stream: TlsStream<T>) -> Result<Secured<T>, NetError> {
        let peer = *self.met.get().ok_or_else(|| handshake("it has shown no key"))?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(handshake("it speaks another protocol"));
        }
        Ok(Secured { stream, peer, ours: self.ours })
    }

    /// Reads the key that is shown. That its holder has it is proved by the signature, which comes next.
    fn look(&self, shown: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let key = shown.strip_prefix(&PUBLIC_HEAD).and_then(|key| key.try_into().ok());
        let key = Author::new(key.ok_or(CertificateError::BadEncoding)?);
        self.met.get_or_init(|| key);
        Ok(())
    }

    /// Checks that the peer has the key, and that it is one of those that are admitted.
    fn check(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let key = SubjectPublicKeyInfoDer::from(shown.as_ref());
        let proved = verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)?;
        match self.met.get() {
            Some(key) if !(self.admit)(key) => {
                self.refused.get_or_init(|| *key);
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(proved),
        }
    }
}

fn no_tls12() -> rustls::Error {
    rustls::Error::General("TLS 1.2 is not spoken".into())
}

impl ServerCertVerifier for Keys {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.look(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Keys {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.look(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl<T> Secured<T> {
    /// Says what an error of the stream means: a peer that does not know this device says so when the
    /// handshake is over on this side.
    fn explain(&self, error: io::Error) -> io::Error {
        if is_denial(&error) { io::Error::other(NetError::NotKnownThere { ours: self.ours }) } else { error }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        read.map_err(|error| self.explain(error))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
