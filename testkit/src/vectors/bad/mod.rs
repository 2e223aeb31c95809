//! Known-bad cases.

mod greetings;
pub(super) mod to_client;
pub(super) mod to_server;
pub(super) mod values;
mod weak;
