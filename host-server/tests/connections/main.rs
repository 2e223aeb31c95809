//! The binary, and who may connect to it.

mod bans;
mod canary;
mod proxies;
mod server;
