//! The daemon's socket: handed over by systemd, or bound to a path that only its owner can use.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
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

/// A listening socket that also waits for signals.
pub(super) struct Listener {
    listener: UnixListener,
    /// Path and inode of a socket that we have bound; removed on drop.
    path: Option<(PathBuf, u64)>,
    /// Readable after a signal, or after a write to `waker`.
    signals: UnixStream,
    waker: UnixStream,
}

impl Listener {
    /// Takes the socket of systemd, or binds one.
    ///
    /// # Errors
    /// When there is neither, another process listens on the path, or the path is not a socket.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let handed =
            ListenFd::from_env().take_unix_listener(0).context("the socket passed by systemd is not a Unix socket")?;
        let (listener, path) = match (handed, path) {
            (Some(listener), _) => (listener, None),
            (None, Some(path)) => {
                let listener = bind(path)?;
                let inode = fs::symlink_metadata(path).map_or(0, |bound| bound.ino());
                (listener, Some((path.to_path_buf(), inode)))
            }
            (None, None) => bail!("--socket PATH is needed, as systemd has passed no socket"),
        };
        listener.set_nonblocking(true)?;
        let (signals, waker) = signals()?;
        Ok(Self { listener, path, signals, waker })
    }

    /// The socket, for messages.
    pub(super) fn shown(&self) -> String {
        self.path.as_ref().map_or("the socket of systemd".into(), |(path, _)| path.display().to_string())
    }

    /// Stops listening, as a signal does.
    pub(super) fn stop(&self) {
        drop((&self.waker).write_all(b"."));
    }

    /// The next client; `None` after a signal.
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
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error).context("cannot accept clients"),
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Another daemon may have bound the path by now.
        if let Some((path, inode)) = &self.path
            && fs::symlink_metadata(path).is_ok_and(|found| found.ino() == *inode)
        {
            drop(fs::remove_file(path));
        }
    }
}

/// True for clients that are gone again, and while all file descriptors are in use.
fn is_transient(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    let out_of_files = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    if out_of_files {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    out_of_files || matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

/// Binds a socket that only its owner can use from the start.
fn bind(path: &Path) -> Result<UnixListener> {
    let shown = path.display();
    if let Ok(found) = fs::symlink_metadata(path) {
        ensure!(found.file_type().is_socket(), "{shown} exists and is not a socket; choose another --socket");
        ensure!(UnixStream::connect(path).is_err(), "a daemon listens on {shown} already");
        fs::remove_file(path).with_context(|| format!("cannot remove the old socket {shown}"))?;
    }
    // The umask is process-wide. Nothing is loaded yet, so no other thread creates files.
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    bound.with_context(|| format!("cannot listen on {shown}"))
}

/// A pipe that SIGTERM, SIGHUP and SIGINT write to. The second signal ends the process at once.
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
