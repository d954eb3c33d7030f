//! The verbs that only Unix systems have: `route` and `watch`, and the socket of `filter --socket`.
//!
//! They need Unix sockets, file names of any bytes, and renames that replace nothing.

mod ask;
mod route;
mod routing;
mod watch;

pub(super) use ask::ask;
pub(super) use route::run as route;
pub(super) use watch::run as watch;
