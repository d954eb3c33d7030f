//! Unix sockets: one that only its owner can use, or one that systemd hands over.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{self, UnixListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use listenfd::ListenFd;
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::UnixStream;

/// A bound socket.
pub(super) struct BoundSocket {
    listener: UnixListener,
    /// Path and inode of a socket that we have bound; removed on drop.
    path: Option<(PathBuf, u64)>,
}

/// What systemd has passed.
pub(super) enum Handed {
    Socket(BoundSocket),
    Port(TcpListener),
}

/// A socket of the runtime.
pub(super) struct Socket(tokio::net::UnixListener);

impl BoundSocket {
    pub(super) fn shown(&self) -> String {
        self.path.as_ref().map_or("the socket of systemd".into(), |(path, _)| path.display().to_string())
    }

    pub(super) fn start(&self) -> Result<Socket> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        Ok(Socket(tokio::net::UnixListener::from_std(listener)?))
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        // Another server may have bound the path by now.
        if let Some((path, inode)) = &self.path
            && fs::symlink_metadata(path).is_ok_and(|found| found.ino() == *inode)
        {
            drop(fs::remove_file(path));
        }
    }
}

impl Socket {
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.0.accept().await?.0)
    }
}

/// Binds a socket that only its owner can use from the start.
///
/// # Errors
/// When another server listens there, or the path is not a socket.
pub(super) fn bind(path: &Path) -> Result<BoundSocket> {
    let shown = path.display();
    if let Ok(found) = fs::symlink_metadata(path) {
        ensure!(found.file_type().is_socket(), "{shown} exists and is not a socket; choose another --socket");
        ensure!(net::UnixStream::connect(path).is_err(), "a server listens on {shown} already");
        fs::remove_file(path).with_context(|| format!("cannot remove the old socket {shown}"))?;
    }
    // The umask is process-wide. Nothing is loaded yet, so no other thread creates files.
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound.with_context(|| format!("cannot listen on {shown}"))?;
    let inode = fs::symlink_metadata(path).map_or(0, |bound| bound.ino());
    Ok(BoundSocket { listener, path: Some((path.to_path_buf(), inode)) })
}

/// The socket that systemd has passed, a Unix socket or a port.
///
/// # Errors
/// When it is neither.
pub(super) fn handed() -> Result<Option<Handed>> {
    let mut passed = ListenFd::from_env();
    if passed.len() == 0 {
        return Ok(None);
    }
    if let Ok(Some(listener)) = passed.take_unix_listener(0) {
        return Ok(Some(Handed::Socket(BoundSocket { listener, path: None })));
    }
    let listener = match passed.take_tcp_listener(0) {
        Ok(listener) => Ok(listener),
        // A port of IPv6, as `ListenStream=8080` makes one.
        Err(_) => passed.take_custom(0, libc::AF_INET6, libc::SOCK_STREAM, "tcp socket"),
    };
    Ok(listener.context("the socket passed by systemd is neither a Unix socket nor a port")?.map(Handed::Port))
}
