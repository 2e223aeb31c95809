//! Methods about the program itself.

use serde_json::{Value, json};

use super::{EVENTS, Reply};
use crate::rpc::clerk::Clerk;
use crate::rpc::params::Params;
use crate::rpc::refusal::Refusal;

/// The number of this interface.
const API: u32 = 1;

pub(super) fn hello(clerk: &mut Clerk<'_>, _: &Params) -> Result<Reply, Refusal> {
    Ok(Reply::Now(json!({
        "api": API,
        "version": env!("CARGO_PKG_VERSION"),
        "phone": clerk.identity.phone.as_str(),
        "allow_trust": clerk.office.allow_trust,
        "connection": clerk.connection(),
    })))
}

pub(super) fn subscribe(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let events = params.words("events").unwrap_or_else(|| EVENTS.to_vec());
    clerk.subscribe(&events)?;
    Ok(nothing())
}

pub(super) fn connect(clerk: &mut Clerk<'_>, _: &Params) -> Result<Reply, Refusal> {
    clerk.office.connect();
    Ok(nothing())
}

fn nothing() -> Reply {
    Reply::Now(Value::Object(serde_json::Map::new()))
}
