//! The binary, and who may connect to it.

mod bans;
mod proxies;
mod server;
