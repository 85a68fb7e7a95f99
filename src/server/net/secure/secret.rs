//! A secret that all servers of a herd share. Each end proves that it knows the secret without
//! revealing it.
//!
//! ```text
//! dialler    AUTH 1 nonce           32 fresh bytes in hexadecimal
//! acceptor   AUTH 1 nonce
//! dialler    PROOF mac              HMAC-SHA-256 over the role, the herd and both nonces
//! acceptor   PROOF mac
//! ```
//!
//! Nonces are fresh, so proofs can't be replayed; roles differ, so proofs can't be reflected. The
//! dialler proves first, so an attacker who merely connects gets nothing to test guesses against.
//! The lines that follow are neither encrypted nor protected against changes on the way. That needs
//! TLS.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ::tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::SecureRandom as _;

use super::error::CredentialsError;
use crate::herd::Name;
use crate::protocol::escape;

/// The shortest secret, in bytes. An attacker who has recorded one handshake can test guesses
/// offline.
const SHORTEST: usize = 16;

/// The limit on a line of the handshake, in bytes without its terminator.
const LINE_LIMIT: usize = 256;

const NONCE: usize = 32;

/// A fresh nonce.
type Nonce = [u8; NONCE];

/// A secret of a herd's servers. Its debug output hides the bytes.
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

/// The role of the end that proves. It is a part of each proof, so a proof can't be reflected.
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
    /// The secret of the servers of `herd`, without white space at its ends.
    ///
    /// # Errors
    ///
    /// When it is too short to withstand guessing.
    pub fn new(bytes: &[u8], herd: &Name) -> Result<Self, CredentialsError> {
        Self::checked("the secret", bytes, herd)
    }

    /// Reads the secret from the file at `path`.
    ///
    /// # Errors
    ///
    /// When the file can't be read, or its secret is too short.
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

    /// Performs the dialler's part, and returns the stream.
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

    /// Performs the acceptor's part, and returns the stream.
    pub(super) async fn accept<S>(&self, mut stream: S) -> io::Result<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.try_accept(&mut stream).await {
            Ok(()) => Ok(stream),
            Err(error) => {
                // The dialler should get the reason, but it may no longer read. The result is the
                // same.
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

    /// The message that a proof authenticates. It is unambiguous: all parts but the last, the
    /// herd's name, have a fixed length for each role, and neither role's label is a prefix of the
    /// other.
    fn message(&self, role: Role, dialler: &Nonce, acceptor: &Nonce) -> Vec<u8> {
        [role.label(), dialler, acceptor, self.0.herd.as_bytes()].concat()
    }

    /// Checks a proof in constant time.
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

/// The error for a line that is no valid answer. If the other end sent `BYE`, its own reason is
/// used.
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

/// Reads a line byte by byte, so that no byte after it is lost. A handshake has only four lines.
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

/// Decodes exactly `N` bytes from hexadecimal.
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
