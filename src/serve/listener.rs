//! Where the server listens: a TCP port, or on Unix a socket of the file system, bound here or handed over by systemd.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(unix)]
use super::unix;
#[cfg(not(unix))]
use elsewhere as unix;

/// The address where nothing is said.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// What systemd hands over, else [`DEFAULT_ADDRESS`].
    Default,
    /// `HOST:PORT`.
    Tcp(String),
    /// A Unix socket.
    Socket(PathBuf),
}

/// A bound listener, before there is a runtime.
pub(super) enum Bound {
    Tcp(TcpListener),
    Unix(unix::BoundSocket),
}

/// A listener of the runtime.
pub(super) enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(unix::Socket),
}

/// A client's connection.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl Bound {
    /// Binds the address.
    ///
    /// # Errors
    /// When it cannot be had, or another process listens there.
    pub(super) fn open(address: &Address) -> Result<Self> {
        match address {
            Address::Socket(path) => unix::bind(path).map(Self::Unix),
            Address::Tcp(address) => tcp(address).map(Self::Tcp),
            Address::Default => match unix::handed()? {
                Some(unix::Handed::Socket(socket)) => Ok(Self::Unix(socket)),
                Some(unix::Handed::Port(listener)) => Ok(Self::Tcp(listener)),
                None => tcp(DEFAULT_ADDRESS).map(Self::Tcp),
            },
        }
    }

    /// True where only programs of this machine can connect, so that no key is needed.
    pub(super) fn is_private(&self) -> bool {
        match self {
            Self::Tcp(listener) => listener.local_addr().is_ok_and(|address| address.ip().is_loopback()),
            Self::Unix(_) => true,
        }
    }

    /// True for a port, to which browsers can connect.
    pub(super) fn is_port(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// The address, for messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}"),
                Err(_) => "a port".into(),
            },
            Self::Unix(bound) => bound.shown(),
        }
    }

    /// Hands it to the runtime in which this is called.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn start(&self) -> Result<Listener> {
        Ok(match self {
            Self::Tcp(listener) => {
                let listener = listener.try_clone()?;
                listener.set_nonblocking(true)?;
                Listener::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            Self::Unix(bound) => Listener::Unix(bound.start()?),
        })
    }
}

impl Listener {
    /// The next client.
    ///
    /// # Errors
    /// Those of the system, such as that there are no more file descriptors.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Connection>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Answers are written whole.
                drop(stream.set_nodelay(true));
                Ok(Box::new(stream))
            }
            Self::Unix(socket) => Ok(Box::new(socket.accept().await?)),
        }
    }
}

/// Binds `HOST:PORT`, or a port of this machine.
fn tcp(address: &str) -> Result<TcpListener> {
    let whole = if address.parse::<u16>().is_ok() { format!("127.0.0.1:{address}") } else { address.to_string() };
    let context = || format!("--listen {address}: write HOST:PORT, such as {DEFAULT_ADDRESS} or [::1]:8080");
    let found: Vec<_> = whole.to_socket_addrs().with_context(context)?.collect();
    ensure!(!found.is_empty(), context());
    TcpListener::bind(&found[..]).with_context(|| format!("cannot listen on {whole}"))
}

/// What other systems have instead of Unix sockets.
#[cfg(not(unix))]
mod elsewhere {
    use std::io;
    use std::net::TcpListener;
    use std::path::Path;

    use anyhow::{Result, bail};
    use tokio::net::TcpStream;

    pub(in crate::serve) enum BoundSocket {}
    pub(in crate::serve) enum Socket {}

    pub(super) enum Handed {
        Socket(BoundSocket),
        Port(TcpListener),
    }

    impl BoundSocket {
        pub(super) fn shown(&self) -> String {
            match *self {}
        }

        pub(super) fn start(&self) -> Result<Socket> {
            match *self {}
        }
    }

    impl Socket {
        pub(super) async fn accept(&self) -> io::Result<TcpStream> {
            match *self {}
        }
    }

    pub(super) fn bind(_: &Path) -> Result<BoundSocket> {
        bail!("--socket is a Unix socket, which this system does not have; --listen takes a port")
    }

    pub(super) fn handed() -> Result<Option<Handed>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for address in ["127.0.0.1:0", "localhost:0", "[::1]:0", "0"] {
            // A machine may have no IPv6.
            let Ok(bound) = Bound::open(&Address::Tcp(address.into())) else { continue };
            assert!(bound.is_private() && bound.shown().starts_with("http://"), "{address}");
        }
        assert!(!Bound::open(&Address::Tcp("0.0.0.0:0".into())).unwrap().is_private());
        for address in ["", "127.0.0.1", "x:y", ":99999"] {
            let error = Bound::open(&Address::Tcp(address.into())).err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| error.contains("HOST:PORT")), "{address}");
        }
    }
}
