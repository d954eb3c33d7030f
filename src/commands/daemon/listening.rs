//! The socket: one that systemd hands over, or a file of our own that nobody else can open.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail, ensure};
use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::process::umask;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

/// A socket that is listened on until it is dropped, or a signal comes.
pub(super) struct Listening {
    listener: UnixListener,
    /// A file of ours, by its number, removed at the end.
    path: Option<(PathBuf, u64)>,
    /// Readable once a signal has come, or `waker` was written to.
    signals: UnixStream,
    waker: UnixStream,
}

impl Listening {
    /// Opens the socket, or takes the one of systemd.
    ///
    /// # Errors
    /// When there is neither, somebody listens there already, or something else stands there.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let handed = ListenFd::from_env().take_unix_listener(0).context("what systemd hands over is no Unix socket")?;
        let (listener, path) = match (handed, path) {
            (Some(listener), _) => (listener, None),
            (None, Some(path)) => {
                let listener = bind(path)?;
                let inode = fs::symlink_metadata(path).map_or(0, |bound| bound.ino());
                (listener, Some((path.to_path_buf(), inode)))
            }
            (None, None) => bail!("--socket PATH says where to listen, as systemd has handed over no socket"),
        };
        listener.set_nonblocking(true)?;
        let (signals, waker) = signals()?;
        Ok(Self { listener, path, signals, waker })
    }

    /// Where it listens.
    pub(super) fn shown(&self) -> String {
        self.path.as_ref().map_or("the socket of systemd".into(), |(path, _)| path.display().to_string())
    }

    /// As if a signal had come.
    pub(super) fn stop(&self) {
        drop((&self.waker).write_all(b"."));
    }

    /// The next client; `None` when a signal has come.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(super) fn next(&self) -> Result<Option<UnixStream>> {
        loop {
            let mut ready = [
                PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error).context("cannot wait for clients"),
            }
            if !ready[1].revents().is_empty() {
                return Ok(None);
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(Some(stream));
                }
                // Clients that are gone again, and files that are all taken: others will be there.
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error).context("cannot take clients"),
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Another daemon may listen there by now.
        if let Some((path, inode)) = &self.path
            && fs::symlink_metadata(path).is_ok_and(|found| found.ino() == *inode)
        {
            drop(fs::remove_file(path));
        }
    }
}

fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    let out_of_files = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    if out_of_files {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    out_of_files || matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

/// Binds a socket that only its owner can use, from its first moment on.
fn bind(path: &Path) -> Result<UnixListener> {
    let shown = path.display();
    if let Ok(found) = fs::symlink_metadata(path) {
        ensure!(found.file_type().is_socket(), "{shown} is there already and no socket; name another --socket");
        ensure!(UnixStream::connect(path).is_err(), "a daemon listens on {shown} already");
        fs::remove_file(path).with_context(|| format!("cannot remove the old socket {shown}"))?;
    }
    // No other thread makes files now: nothing is loaded yet.
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    bound.with_context(|| format!("cannot listen on {shown}"))
}

/// A pipe that SIGTERM, SIGHUP and Ctrl-C write to; the second of them ends the process at once.
fn signals() -> Result<(UnixStream, UnixStream)> {
    let (heard, told) = UnixStream::pair()?;
    let asked_before = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, asked_before.clone())?;
        flag::register(signal, asked_before.clone())?;
        pipe::register(signal, told.try_clone()?)?;
    }
    Ok((heard, told))
}

/// Tells systemd that mails can come, if it wants to know.
pub(in crate::commands) fn ready() {
    if let Some(path) = std::env::var_os("NOTIFY_SOCKET")
        && let Ok(socket) = UnixDatagram::unbound()
    {
        drop(socket.send_to(b"READY=1", path));
    }
}
