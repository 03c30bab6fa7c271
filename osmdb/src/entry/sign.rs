//! Who made an edit, and the proof of it.
//!
//! Signatures are ed25519 (RFC 8032), checked strictly: keys of small order are refused, so that a
//! signature holds for one content only.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use super::{Entry, Origin, codec, version_of};
use crate::model::ElementId;

/// The bytes of an author's key.
pub(super) const AUTHOR_BYTES: usize = 32;

/// The bytes of a signature.
pub(super) const SIGNATURE_BYTES: usize = 64;

/// The bytes of what is signed.
const MESSAGE_BYTES: usize = CONTEXT.len() + 32;

/// What every signed message begins with: a key that signs other things too signs no entry by mistake.
const CONTEXT: &[u8] = b"osmdb entry 1\n";

/// Names who made an edit: the public key of a device, written as 64 hexadecimal digits.
///
/// ```
/// let db = osmdb::Db::in_memory("osm")?;
/// let author = db.author()?;
/// assert_eq!(author.to_string().parse::<osmdb::Author>().unwrap(), author);
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Author([u8; AUTHOR_BYTES]);

impl Author {
    /// Names an author by the bytes of an ed25519 public key.
    ///
    /// ```
    /// use osmdb::{Author, DeviceKey};
    /// let author = DeviceKey::generate()?.author();
    /// assert_eq!(Author::new(*author.as_bytes()), author);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub const fn new(key: [u8; AUTHOR_BYTES]) -> Self {
        Self(key)
    }

    /// Returns the bytes of the key.
    ///
    /// ```
    /// let author: osmdb::Author = "ab".repeat(32).parse()?;
    /// assert_eq!(author.as_bytes(), &[0xab; 32]);
    /// # Ok::<(), osmdb::ParseAuthorError>(())
    /// ```
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; AUTHOR_BYTES] {
        &self.0
    }

    /// Tells whether a signature under something else than an entry is the author's.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        let key = VerifyingKey::from_bytes(&self.0);
        key.and_then(|key| key.verify_strict(message, &signature)).is_ok()
    }
}

fn put_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        put_hex(f, &self.0)
    }
}

impl fmt::Debug for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Author({self})")
    }
}

/// A text that names no author.
///
/// ```
/// let error = "Riverside".parse::<osmdb::Author>().unwrap_err();
/// assert_eq!(error.text, "Riverside");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no author: expected 64 hexadecimal digits")]
pub struct ParseAuthorError {
    /// What was given.
    pub text: String,
}

impl FromStr for Author {
    type Err = ParseAuthorError;

    /// Reads the 64 hexadecimal digits of the key, in either case.
    ///
    /// # Errors
    /// There are more or fewer, or others.
    fn from_str(text: &str) -> Result<Self, ParseAuthorError> {
        // A key is as long as a hash, and is written like one.
        let key = blake3::Hash::from_hex(text).ok().filter(|_| text.len() == 2 * AUTHOR_BYTES);
        key.map(|key| Self(*key.as_bytes())).ok_or_else(|| ParseAuthorError { text: text.to_owned() })
    }
}

/// An ed25519 signature.
///
/// ```
/// use osmdb::{DeviceKey, EditMeta, ElementId, Entry, Origin, Signature};
/// let mut entry = Entry {
///     element: ElementId::node(7),
///     payload: None,
///     origin: Origin::Edited(EditMeta::default()),
/// };
/// DeviceKey::generate()?.sign(&mut entry);
/// let Origin::Edited(EditMeta { signed: Some(signed), .. }) = entry.origin else { panic!("signed") };
/// let signature: Signature = signed.signature;
/// assert_eq!(Signature::new(*signature.as_bytes()), signature);
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_BYTES]);

impl Signature {
    /// Takes the bytes of a signature, R and S one after another.
    ///
    /// ```
    /// use osmdb::Signature;
    /// assert_ne!(Signature::new([0; 64]), Signature::new([1; 64]));
    /// ```
    #[must_use]
    pub const fn new(bytes: [u8; SIGNATURE_BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    ///
    /// ```
    /// assert_eq!(osmdb::Signature::new([7; 64]).as_bytes(), &[7; 64]);
    /// ```
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(")?;
        put_hex(f, &self.0)?;
        f.write_str(")")
    }
}

/// An author, and the signature under an edit.
///
/// ```
/// use osmdb::{DeviceKey, EditMeta, ElementId, Entry, Origin, Signature, SignatureError, Signed};
/// let author = DeviceKey::generate()?.author();
/// // To name an author is not enough: the signature must be the author's.
/// let signed = Some(Signed { author, signature: Signature::new([7; 64]) });
/// let origin = Origin::Edited(EditMeta { signed, ..EditMeta::default() });
/// let entry = Entry { element: ElementId::node(7), payload: None, origin };
/// assert_eq!(entry.author(), Some(author));
/// assert_eq!(entry.check_signature(), Err(SignatureError { author }));
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// Who made the edit.
    pub author: Author,
    /// The signature.
    pub signature: Signature,
}

impl Signed {
    pub(super) fn to_bytes(self) -> [u8; AUTHOR_BYTES + SIGNATURE_BYTES] {
        let mut bytes = [0; AUTHOR_BYTES + SIGNATURE_BYTES];
        let (author, signature) = bytes.split_at_mut(AUTHOR_BYTES);
        author.copy_from_slice(&self.author.0);
        signature.copy_from_slice(&self.signature.0);
        bytes
    }

    pub(super) fn of_bytes(bytes: &[u8; AUTHOR_BYTES + SIGNATURE_BYTES]) -> Self {
        let (mut author, mut signature) = ([0; AUTHOR_BYTES], [0; SIGNATURE_BYTES]);
        author.iter_mut().chain(&mut signature).zip(bytes).for_each(|(to, from)| *to = *from);
        Self { author: Author(author), signature: Signature(signature) }
    }
}

/// A signature that proves nothing.
///
/// ```
/// use osmdb::{DeviceKey, EditMeta, ElementId, Entry, Origin, SignatureError};
/// let key = DeviceKey::generate()?;
/// let origin = Origin::Edited(EditMeta::default());
/// let mut entry = Entry { element: ElementId::node(7), payload: None, origin };
/// key.sign(&mut entry);
/// entry.element = ElementId::node(8);
/// assert_eq!(entry.check_signature(), Err(SignatureError { author: key.author() }));
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not {author}'s")]
pub struct SignatureError {
    /// Who is said to have signed.
    pub author: Author,
}

/// The secret key of a device, with which it signs its edits.
///
/// A database makes its own at its first edit and keeps it: see [`Db::author`](crate::Db::author). Merging
/// never passes it on; whoever copies the directory of a database copies the key too.
///
/// What is signed is the text `osmdb entry 1`, a line feed, and the BLAKE3-256 hash of the record in which
/// the author's key alone stands where later key and signature stand.
///
/// ```
/// use osmdb::{DeviceKey, EditMeta, Entry, ElementId, Origin};
/// let key = DeviceKey::generate()?;
/// let element = ElementId::node(7);
/// let mut entry = Entry { element, payload: None, origin: Origin::Edited(EditMeta::default()) };
/// assert_eq!(entry.check_signature().unwrap(), None);
/// key.sign(&mut entry);
/// assert_eq!(entry.check_signature().unwrap(), Some(key.author()));
/// entry.element = ElementId::node(8);
/// assert!(entry.check_signature().is_err());
/// # Ok::<(), osmdb::Error>(())
/// ```
pub struct DeviceKey(SigningKey);

impl DeviceKey {
    /// Makes a new key, of random numbers of the system.
    ///
    /// ```
    /// use osmdb::DeviceKey;
    /// assert_ne!(DeviceKey::generate()?.author(), DeviceKey::generate()?.author());
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system gives none.
    pub fn generate() -> Result<Self, crate::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self::new(&secret))
    }

    /// Takes a secret: 32 bytes that nobody can guess.
    ///
    /// ```
    /// use osmdb::DeviceKey;
    /// // The same secret, the same author. (Nobody should use this one.)
    /// assert_eq!(DeviceKey::new(&[7; 32]).author(), DeviceKey::new(&[7; 32]).author());
    /// ```
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// Signs something else than an entry. What it is, the first bytes of the message say.
    pub(crate) fn sign_message(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Returns the name under which others know the device.
    ///
    /// ```
    /// use osmdb::{Author, DeviceKey};
    /// let author: Author = DeviceKey::generate()?.author();
    /// assert_eq!(author.to_string().len(), 64);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn author(&self) -> Author {
        Author(self.0.verifying_key().to_bytes())
    }

    /// Signs an edit; a signature that it has is replaced. An imported entry is left as it is: it says
    /// nothing of who imported it.
    ///
    /// ```
    /// use osmdb::{DeviceKey, EditMeta, ElementId, Entry, Origin};
    /// let key = DeviceKey::generate()?;
    /// let origin = Origin::Edited(EditMeta { timestamp: 1_356_998_400, ..EditMeta::default() });
    /// let mut entry = Entry { element: ElementId::node(7), payload: None, origin };
    /// let unsigned = entry.version();
    /// key.sign(&mut entry);
    /// assert_eq!(entry.author(), Some(key.author()));
    /// assert_ne!(entry.version(), unsigned, "the signature is a part of the record");
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    pub fn sign(&self, entry: &mut Entry) {
        let Entry { element, payload, origin: Origin::Edited(meta) } = entry else { return };
        let author = self.author();
        let body = codec::signable(payload.as_ref(), meta, &author);
        let signature = Signature(self.0.sign(&message(*element, &body)).to_bytes());
        meta.signed = Some(Signed { author, signature });
    }
}

impl fmt::Debug for DeviceKey {
    /// Shows the author, and not the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({})", self.author())
    }
}

fn message(element: ElementId, body: &[u8]) -> [u8; MESSAGE_BYTES] {
    let mut message = [0; MESSAGE_BYTES];
    let (context, hash) = message.split_at_mut(CONTEXT.len());
    context.copy_from_slice(CONTEXT);
    hash.copy_from_slice(version_of(element, body).as_bytes());
    message
}

impl Entry {
    /// Makes sure that an edit was signed by the author it names, and returns who that is: `None` if it
    /// names none.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let mut entry = db.get(node)?.remove(0).entry;
    /// assert_eq!(entry.check_signature()?, Some(db.author()?));
    /// entry.payload = None;
    /// assert!(entry.check_signature().is_err(), "nobody signed that it is deleted");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Somebody else made the signature, or the entry was changed since.
    pub fn check_signature(&self) -> Result<Option<Author>, SignatureError> {
        let Origin::Edited(meta) = &self.origin else { return Ok(None) };
        let Some(Signed { author, signature }) = &meta.signed else { return Ok(None) };
        let body = codec::signable(self.payload.as_ref(), meta, author);
        let message = message(self.element, &body);
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        let key = VerifyingKey::from_bytes(&author.0);
        match key.and_then(|key| key.verify_strict(&message, &signature)) {
            Ok(()) => Ok(Some(*author)),
            Err(_) => Err(SignatureError { author: *author }),
        }
    }
}
