//! The verbs that only Unix systems have: `daemon`, `route` and `watch`, and the socket of `filter --socket`.
//!
//! They need Unix sockets, file names of any bytes, and renames that replace nothing.

mod daemon;
mod route;
mod routing;
mod watch;
mod wire;

use std::os::unix::net::UnixDatagram;

pub(super) use daemon::run as daemon;
pub(super) use route::run as route;
pub(super) use watch::run as watch;
pub(super) use wire::ask;

/// Tells systemd that the service has started (sd_notify), if systemd started it.
fn notify_ready() {
    if let Some(path) = std::env::var_os("NOTIFY_SOCKET")
        && let Ok(socket) = UnixDatagram::unbound()
    {
        drop(socket.send_to(b"READY=1", path));
    }
}
