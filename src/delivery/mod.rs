//! Mail on its way: headers of our own in it, and the maildirs that it goes to.

pub mod header;
