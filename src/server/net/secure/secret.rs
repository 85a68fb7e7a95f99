//! A secret that all servers of a herd share: each shows the other that it knows it, without saying it.
//!
//! ```text
//! dialler    AUTH 1 nonce           32 fresh bytes in hexadecimal
//! acceptor   AUTH 1 nonce
//! dialler    PROOF mac              HMAC-SHA-256 over the role, the herd and both nonces
//! acceptor   PROOF mac
//! ```
//!
//! Nonces are fresh, so nothing can be replayed; roles differ, so nothing can be reflected. The dialler
//! proves first, so that nobody who merely connects is given anything to guess the secret by. What
//! follows is neither hidden nor protected against who can change it on its way: that takes TLS.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ::tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::SecureRandom as _;

use super::credentials::CredentialsError;
use crate::herd::Name;
use crate::protocol::escape;

/// A secret may not be shorter, in bytes: whoever sees one handshake can try guesses at leisure.
const SHORTEST: usize = 16;

/// The longest line before the greeting, in bytes, its terminator not counted.
const LINE_LIMIT: usize = 256;

const NONCE: usize = 32;

/// A fresh nonce.
type Nonce = [u8; NONCE];

/// A secret of a herd's servers. It does not show.
#[derive(Clone)]
pub struct Secret(Arc<Inner>);

struct Inner {
    bytes: Vec<u8>,
    key: hmac::Key,
    herd: Name,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes && self.0.herd == other.0.herd
    }
}

impl Eq for Secret {}

/// Who proves: so that no end's proof can be given back to it as the other's.
#[derive(Clone, Copy)]
enum Role {
    Dialler,
    Acceptor,
}

impl Role {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Dialler => b"proxy-herd secret 1 dialler",
            Self::Acceptor => b"proxy-herd secret 1 acceptor",
        }
    }
}

impl Secret {
    /// The secret of the servers of `herd`. White space at its ends is no part of it.
    ///
    /// # Errors
    ///
    /// When it is too short to withstand guessing.
    pub fn new(bytes: &[u8], herd: &Name) -> Result<Self, CredentialsError> {
        Self::checked("the secret", bytes, herd)
    }

    /// The secret in the file at `path`.
    ///
    /// # Errors
    ///
    /// When the file can't be read, or holds too short a secret.
    pub fn load(path: &Path, herd: &Name) -> Result<Self, CredentialsError> {
        let bytes = std::fs::read(path).map_err(|error| {
            CredentialsError::new(path.display(), format!("can't read the secret: {error}"))
        })?;
        Self::checked(path.display(), &bytes, herd)
    }

    fn checked(
        place: impl fmt::Display,
        bytes: &[u8],
        herd: &Name,
    ) -> Result<Self, CredentialsError> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < SHORTEST {
            let what = format!(
                "a secret of {} bytes can be guessed; give it {SHORTEST} or more, such as \
                 `openssl rand -hex 32` prints",
                bytes.len()
            );
            return Err(CredentialsError::new(place, what));
        }
        Ok(Self(Arc::new(Inner {
            bytes: bytes.to_vec(),
            key: hmac::Key::new(HMAC_SHA256, bytes),
            herd: Name::clone(herd),
        })))
    }

    /// The dialler's part; gives the stream back.
    pub(super) async fn dial<S>(&self, mut stream: S) -> io::Result<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mine = fresh()?;
        say(&mut stream, "AUTH 1", &mine).await?;
        let theirs = nonce(&hear(&mut stream).await?)?;
        let proof = hmac::sign(&self.0.key, &self.message(Role::Dialler, &mine, &theirs));
        say(&mut stream, "PROOF", proof.as_ref()).await?;
        let line = hear(&mut stream).await?;
        if !self.is_proof(&line, &self.message(Role::Acceptor, &mine, &theirs)) {
            return Err(unexpected(
                &line,
                "it does not know the secret of this herd",
            ));
        }
        Ok(stream)
    }

    /// The acceptor's part; gives the stream back.
    pub(super) async fn accept<S>(&self, mut stream: S) -> io::Result<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.try_accept(&mut stream).await {
            Ok(()) => Ok(stream),
            Err(error) => {
                // The other end should know why; whether it still listens is its own affair.
                if let Some(reason) = error.get_ref() {
                    let _ = (stream.write_all(format!("BYE {reason}\n").as_bytes())).await;
                    let _ = stream.shutdown().await;
                }
                Err(error)
            }
        }
    }

    async fn try_accept<S>(&self, stream: &mut S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let theirs = nonce(&hear(stream).await?)?;
        let mine = fresh()?;
        say(stream, "AUTH 1", &mine).await?;
        let line = hear(stream).await?;
        if !self.is_proof(&line, &self.message(Role::Dialler, &theirs, &mine)) {
            return Err(unexpected(&line, "that is no proof of this herd's secret"));
        }
        let proof = hmac::sign(&self.0.key, &self.message(Role::Acceptor, &theirs, &mine));
        say(stream, "PROOF", proof.as_ref()).await
    }

    /// What is proved. No two differ only in where one part ends: all but the herd's name, the last, have
    /// one length for each role, and no role's label begins another's.
    fn message(&self, role: Role, dialler: &Nonce, acceptor: &Nonce) -> Vec<u8> {
        [role.label(), dialler, acceptor, self.0.herd.as_bytes()].concat()
    }

    /// Compares in a time that says nothing about where they differ.
    fn is_proof(&self, line: &[u8], message: &[u8]) -> bool {
        let mac = line.strip_prefix(b"PROOF ").and_then(unhex);
        mac.is_some_and(|mac: [u8; 32]| hmac::verify(&self.0.key, message, &mac).is_ok())
    }
}

#[expect(
    clippy::disallowed_types,
    reason = "a nonce that follows from a seed could be known before"
)]
fn fresh() -> io::Result<Nonce> {
    let mut nonce = [0; NONCE];
    let filled = ring::rand::SystemRandom::new().fill(&mut nonce);
    filled.map_err(|_| io::Error::other("the system has no random bytes"))?;
    Ok(nonce)
}

fn nonce(line: &[u8]) -> io::Result<Nonce> {
    let nonce = line.strip_prefix(b"AUTH 1 ").and_then(unhex);
    nonce.ok_or_else(|| {
        unexpected(
            line,
            "servers of this herd prove a secret: AUTH must come first",
        )
    })
}

/// Why the handshake ends: the other end's own reason, if it gave one.
fn unexpected(line: &[u8], otherwise: &str) -> io::Error {
    let reason = match line.strip_prefix(b"BYE ") {
        Some(reason) => escape(reason),
        None => otherwise.to_owned(),
    };
    io::Error::new(io::ErrorKind::PermissionDenied, reason)
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), verb: &str, bytes: &[u8]) -> io::Result<()> {
    use std::fmt::Write as _;
    let mut line = format!("{verb} ");
    for byte in bytes {
        let _ = write!(line, "{byte:02x}");
    }
    line.push('\n');
    stream.write_all(line.as_bytes()).await?;
    stream.flush().await
}

/// The next line. It is read byte by byte, so that nothing behind it is lost; there are four of them.
async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return Ok(line),
            _ if line.len() == LINE_LIMIT => {
                return Err(unexpected(b"", "a line is too long"));
            }
            byte => line.push(byte),
        }
    }
}

/// Exactly `N` bytes in hexadecimal.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}
