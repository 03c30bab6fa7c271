//! Tokens: secrets by which somebody may use a server that is open to more than this machine.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::db::now;

/// The file in the directory of a database, and the new one while it is written.
const FILE: &str = "tokens";
const NEW: &str = "tokens.new";
const LOCK: &str = "tokens.lock";

/// How a token that is kept was made of the secret.
const CONTEXT: &str = "osmdb token 1";

/// So many random bytes make a secret.
const SECRET_BYTES: usize = 16;

/// No name of a token is longer, in bytes.
///
/// ```
/// use osmdb::server::{MAX_TOKEN_NAME_BYTES, Tokens};
/// let name = "a".repeat(MAX_TOKEN_NAME_BYTES + 1);
/// assert!(Tokens::default().add(&name).is_err());
/// ```
pub const MAX_TOKEN_NAME_BYTES: usize = 255;

/// Who may use a server: names, and what is needed to know a secret again. The secrets are kept nowhere.
///
/// It is a file beside the database, and no note of its store, so that it can be changed while a server holds
/// that.
///
/// ```
/// use osmdb::server::Tokens;
/// # let dir = tempfile::tempdir()?;
/// let secret = Tokens::update(dir.path(), |tokens| tokens.add("Amina"))??;
/// let tokens = Tokens::read(dir.path())?;
/// assert_eq!(tokens.holder(&secret), Some("Amina"));
/// assert_eq!(tokens.holder("a guess"), None);
/// # Ok::<(), osmdb::server::TokenError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    name: String,
    /// The hash of the secret.
    hash: [u8; 32],
    made: i64,
}

/// Why tokens could not be read or changed.
///
/// ```
/// use osmdb::server::{TokenError, Tokens};
/// let mut tokens = Tokens::default();
/// tokens.add("Amina")?;
/// assert!(matches!(tokens.add("Amina"), Err(TokenError::Taken(name)) if name == "Amina"));
/// # Ok::<(), TokenError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file could not be read or written.
    #[error("{}: {what} failed: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file has a line that is no token.
    #[error("{}: line {line} is no token: take it out", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// There is a token of this name.
    #[error("there is a token for `{0}` already: remove it first, or use another name")]
    Taken(String),
    /// A name that no token can have.
    #[error("the name of a token has 1 to {MAX_TOKEN_NAME_BYTES} bytes, and no control characters")]
    Name,
    /// The system gives no random number.
    #[error("the system gave no random number for a token: {0}")]
    Random(getrandom::Error),
}

impl Tokens {
    /// Reads the tokens of the database in a directory; none, if there is no file.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// assert_eq!(osmdb::server::Tokens::read(dir.path())?.names().count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn read(dir: &Path) -> Result<Self, TokenError> {
        let path = dir.join(FILE);
        let failed = |source| TokenError::File { path: path.clone(), what: "reading the file", source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let mut tokens = Vec::new();
        for (at, line) in BufReader::new(file).lines().enumerate() {
            let token = parse(&line.map_err(failed)?);
            tokens.push(token.ok_or_else(|| TokenError::Line { path: path.clone(), line: at + 1 })?);
        }
        Ok(Self(tokens))
    }

    /// Changes the tokens of the database in a directory. Others who do so at the same time take turns. When this
    /// returns, the file is on the disk.
    ///
    /// ```
    /// use osmdb::server::Tokens;
    /// # let dir = tempfile::tempdir()?;
    /// Tokens::update(dir.path(), |tokens| tokens.add("Amina"))??;
    /// assert!(Tokens::update(dir.path(), |tokens| tokens.remove("Amina"))?);
    /// assert_eq!(Tokens::read(dir.path())?, Tokens::default());
    /// # Ok::<(), osmdb::server::TokenError>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be read or written, or is damaged.
    pub fn update<T>(dir: &Path, change: impl FnOnce(&mut Self) -> T) -> Result<T, TokenError> {
        let file = |path: PathBuf, what| move |source| TokenError::File { path, what, source };
        let lock = dir.join(LOCK);
        let opened = File::options().create(true).truncate(false).write(true).open(&lock);
        let lock_file = opened.map_err(file(lock.clone(), "opening the file"))?;
        lock_file.lock().map_err(file(lock, "waiting for another program"))?;
        let mut tokens = Self::read(dir)?;
        let before = tokens.clone();
        let result = change(&mut tokens);
        if tokens != before {
            let new = dir.join(NEW);
            let written = File::create(&new).and_then(|mut file| {
                tokens.0.iter().try_for_each(|token| writeln!(file, "{}", shown(token)))?;
                file.sync_all()
            });
            written.map_err(file(new.clone(), "writing the file"))?;
            std::fs::rename(&new, dir.join(FILE)).map_err(file(new, "naming the file"))?;
        }
        Ok(result)
    }

    /// Makes a token, and returns the secret: it is shown this once.
    ///
    /// ```
    /// let secret = osmdb::server::Tokens::default().add("Amina")?;
    /// assert_eq!(secret.len(), 32);
    /// # Ok::<(), osmdb::server::TokenError>(())
    /// ```
    ///
    /// # Errors
    /// The name is taken, or none that a token can have.
    pub fn add(&mut self, name: &str) -> Result<String, TokenError> {
        if name.is_empty() || name.len() > MAX_TOKEN_NAME_BYTES || name.contains(char::is_control) {
            return Err(TokenError::Name);
        }
        if self.0.iter().any(|token| token.name == name) {
            return Err(TokenError::Taken(name.to_owned()));
        }
        let secret = secret().map_err(TokenError::Random)?;
        self.0.push(Token { name: name.to_owned(), hash: hash(&secret), made: now() });
        Ok(secret)
    }

    /// Takes a token back; tells whether there was one.
    ///
    /// ```
    /// assert!(!osmdb::server::Tokens::default().remove("Amina"));
    /// ```
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|token| token.name != name);
        self.0.len() < before
    }

    /// Iterates over the names, and when the tokens were made, in seconds since 1970.
    ///
    /// ```
    /// let mut tokens = osmdb::server::Tokens::default();
    /// tokens.add("Amina")?;
    /// assert!(tokens.names().map(|(name, _)| name).eq(["Amina"]));
    /// # Ok::<(), osmdb::server::TokenError>(())
    /// ```
    pub fn names(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|token| (token.name.as_str(), token.made))
    }

    /// Returns whose secret this is.
    ///
    /// ```
    /// assert_eq!(osmdb::server::Tokens::default().holder(""), None);
    /// ```
    #[must_use]
    pub fn holder(&self, secret: &str) -> Option<&str> {
        // Hashes are compared, so that the time it takes tells nothing of the secret.
        let hash = hash(secret);
        self.0.iter().find(|token| token.hash == hash).map(|token| token.name.as_str())
    }
}

fn hash(secret: &str) -> [u8; 32] {
    blake3::derive_key(CONTEXT, secret.as_bytes())
}

/// Makes a secret: random hexadecimal digits.
pub(crate) fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

fn shown(token: &Token) -> Value {
    json!({"name": token.name, "hash": data_encoding::HEXLOWER.encode(&token.hash), "made": token.made})
}

fn parse(line: &str) -> Option<Token> {
    let value: Value = serde_json::from_str(line).ok()?;
    let hash = data_encoding::HEXLOWER.decode(value.get("hash")?.as_str()?.as_bytes()).ok()?;
    Some(Token {
        name: value.get("name")?.as_str()?.to_owned(),
        hash: hash.try_into().ok()?,
        made: value.get("made")?.as_i64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_opens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let secret = Tokens::update(dir.path(), |tokens| tokens.add("Amina")).unwrap().unwrap();
        let file = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(!file.contains(&secret), "the secret is kept nowhere");
        std::fs::write(dir.path().join(FILE), format!("{file}nonsense\n")).unwrap();
        assert!(matches!(Tokens::read(dir.path()), Err(TokenError::Line { line: 2, .. })));
        assert!(Tokens::update(dir.path(), |tokens| tokens.remove("Amina")).is_err());
    }
}
