//! Known-bad cases.

pub(super) mod to_client;
pub(super) mod to_server;
pub(super) mod values;
mod weak;
