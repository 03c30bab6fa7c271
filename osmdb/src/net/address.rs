//! Where a peer is, as people write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::DEFAULT_PORT;
use crate::entry::Author;

/// Where a peer is.
///
/// ```
/// use osmdb::net::Address;
/// let address: Address = "tcp://[::1]:7000".parse()?;
/// assert_eq!(address, Address::Tcp { host: "::1".into(), port: 7000 });
/// assert_eq!(address.to_string(), "tcp://[::1]:7000");
/// assert_eq!("../hilltop".parse(), Ok(Address::Dir("../hilltop".into())));
/// # Ok::<(), osmdb::net::ParseAddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `tcp://HOST:PORT`: TLS over TCP.
    Tcp {
        /// A name or a number; one of IPv6 stands in brackets when it is written.
        host: String,
        /// The port, [`DEFAULT_PORT`] if none is written.
        port: u16,
    },
    /// `ws://HOST:PORT/PATH`: TLS over WebSocket over TCP, for where only HTTP gets through. It needs no
    /// `wss://`: what is inside is secured by the keys of the devices.
    WebSocket {
        /// As for TCP.
        host: String,
        /// As for TCP.
        port: u16,
        /// What the server is asked for; begins with `/`.
        path: String,
    },
    /// `iroh://KEY@HOST:PORT`: QUIC to whoever has the key, at this place; or `iroh://KEY`: wherever on the local
    /// network it is. Needs the feature `iroh`.
    Iroh {
        /// The key, as 64 hexadecimal digits.
        key: Author,
        /// The host and the port, as for TCP, if they are written.
        place: Option<(String, u16)>,
    },
    /// `exec:COMMAND …`: whatever a command reads and writes. The command sees to it who is at the other end.
    Command(String),
    /// `ssh://USER@HOST:PORT/PATH`: `osmdb serve --stdio` in another place, by `ssh`.
    Ssh {
        /// The host, with `USER@` in front if it is written.
        host: String,
        /// The port, if it is written.
        port: Option<u16>,
        /// The directory of the database there; one in the user's own directory is written `/~/PATH`.
        path: String,
    },
    /// Anything else is a directory of this machine.
    Dir(PathBuf),
}

/// A text that is no address of a peer.
///
/// ```
/// use osmdb::net::Address;
/// assert!("gopher://hilltop".parse::<Address>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no peer: expected tcp://HOST:PORT, ws://HOST:PORT/PATH, iroh://KEY@HOST:PORT, ssh://HOST/PATH, \
     exec:COMMAND or a directory"
)]
pub struct ParseAddressError {
    /// What was given.
    pub text: String,
}

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Reads an address. A directory whose name looks like another address is written with `./` in front.
    ///
    /// # Errors
    /// It begins with a scheme that is none of these, or lacks a host or a path.
    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let none = || ParseAddressError { text: text.to_owned() };
        if let Some(command) = text.strip_prefix("exec:") {
            let command = command.trim();
            return if command.is_empty() { Err(none()) } else { Ok(Self::Command(command.to_owned())) };
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.is_empty() { Err(none()) } else { Ok(Self::Dir(text.into())) };
        };
        let (place, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if scheme == "iroh" {
            let address = if matches!(path, "" | "/") { key_and_place(place) } else { None };
            return address.ok_or_else(none);
        }
        let (host, port) = host_and_port(place).ok_or_else(none)?;
        match scheme {
            "tcp" if matches!(path, "" | "/") => Ok(Self::Tcp { host, port: port.unwrap_or(DEFAULT_PORT) }),
            "ws" => {
                let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
                Ok(Self::WebSocket { host, port: port.unwrap_or(DEFAULT_PORT), path })
            }
            // `ssh` would take it for an option.
            "ssh" if path.len() > 1 && !host.starts_with('-') => {
                Ok(Self::Ssh { host, port, path: path.to_owned() })
            }
            _ => Err(none()),
        }
    }
}

fn key_and_place(text: &str) -> Option<Address> {
    let (key, place) = match text.split_once('@') {
        Some((key, place)) => (key, Some(host_and_port(place)?)),
        None => (text, None),
    };
    let place = place.map(|(host, port)| (host, port.unwrap_or(DEFAULT_PORT)));
    Some(Address::Iroh { key: key.parse().ok()?, place })
}

fn host_and_port(place: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            match behind {
                "" => (host, None),
                behind => (host, Some(behind.strip_prefix(':')?)),
            }
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let is_host = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '[' | ']' | '?' | '#');
    let fits = !host.is_empty() && host.chars().all(is_host);
    let port = port.map(str::parse).transpose().ok()?;
    fits.then(|| (host.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |host: &str, port: u16| {
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        };
        match self {
            Self::Tcp { host, port } => write!(f, "tcp://{}", place(host, *port)),
            Self::WebSocket { host, port, path } => write!(f, "ws://{}{path}", place(host, *port)),
            Self::Iroh { key, place: Some((host, port)) } => write!(f, "iroh://{key}@{}", place(host, *port)),
            Self::Iroh { key, place: None } => write!(f, "iroh://{key}"),
            Self::Command(command) => write!(f, "exec:{command}"),
            Self::Ssh { host, port: Some(port), path } => write!(f, "ssh://{host}:{port}{path}"),
            Self::Ssh { host, port: None, path } => write!(f, "ssh://{host}{path}"),
            Self::Dir(dir) => dir.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_read() {
        for text in [
            "tcp://hilltop:5001",
            "tcp://[fe80::1%eth0]:99",
            "tcp://10.0.0.7:1",
            "ws://hilltop:80/osm/sync",
            "iroh://2222222222222222222222222222222222222222222222222222222222222222",
            "iroh://00000000000000000000000000000000000000000000000000000000000000ff@10.0.0.7:5001",
            "iroh://2222222222222222222222222222222222222222222222222222222222222222@[::1]:99",
            "ssh://amina@hilltop/~/osm.db",
            "ssh://hilltop:22/srv/osm.db",
            "exec:ssh hilltop osmdb serve --stdio 'my db'",
            "/media/stick/osm.db",
            "C:\\osm.db",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        for text in [
            "",
            "exec:",
            "exec:  ",
            "tcp://",
            "tcp://:5001",
            "tcp://hilltop:99999",
            "tcp://hilltop:x",
            "tcp://hilltop/path",
            "iroh://",
            "iroh://hilltop:5001",
            "iroh://2222@hilltop:5001",
            "iroh://2222222222222222222222222222222222222222222222222222222222222222@",
            "iroh://2222222222222222222222222222222222222222222222222222222222222222@:5001",
            "iroh://2222222222222222222222222222222222222222222222222222222222222222@hilltop:5001/path",
            "tcp://[::1",
            "tcp://[::1]5001",
            "tcp://hill top:1",
            "wss://hilltop",
            "http://hilltop",
            "ssh://hilltop",
            "ssh://-oProxyCommand=x/path",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
