//! IP addresses with ports, one or several: an array in the file, separated by commas elsewhere. One
//! alone may stand without the array.

use std::net::SocketAddr;

use toml::Value;

use super::address;

/// How many there may be.
const MOST: usize = 64;

pub(in super::super) fn read(value: &Value) -> Result<Vec<SocketAddr>, String> {
    let texts: Vec<&str> = match value {
        Value::Array(values) => {
            let text = |value: &'_ Value| format!("{value} is no text in quotes");
            values
                .iter()
                .map(|value| value.as_str().ok_or_else(|| text(value)))
                .collect::<Result<_, _>>()?
        }
        Value::String(text) => text.split(',').map(str::trim).collect(),
        _ => return Err(format!("{value} is neither an address in quotes nor a list of them")),
    };
    if texts.is_empty() {
        return Err("the list is empty: name one address at least, as in 127.0.0.1:9295".into());
    }
    if texts.len() > MOST {
        return Err(format!("there are {} addresses: name {MOST} at most", texts.len()));
    }
    let addresses = texts.into_iter().map(address::parse).collect::<Result<Vec<_>, _>>()?;
    for (at, one) in addresses.iter().enumerate() {
        if let Some(other) =
            addresses.iter().take(at).find(|other| one == *other || overlap(one, other))
        {
            return Err(if one == other {
                format!("{one} is named twice: leave one of them out")
            } else {
                format!(
                    "{one} and {other} cannot be listened on together, since one contains the \
                         other: leave one of them out, or give it another port"
                )
            });
        }
    }
    Ok(addresses)
}

pub(in super::super) fn show(addresses: &[SocketAddr]) -> String {
    match addresses {
        [one] => address::show(one),
        several => super::list::show(several),
    }
}

/// Whether one address contains the other, so that two sockets cannot have them at the same time. With
/// port 0 the system gives each a port of its own. Every IPv6 address is for IPv6 alone.
pub(in super::super) fn overlap(one: &SocketAddr, other: &SocketAddr) -> bool {
    let is_all = |address: &SocketAddr| address.ip().is_unspecified();
    let contains = one.ip() == other.ip()
        || (one.is_ipv4() == other.is_ipv4() && (is_all(one) || is_all(other)));
    one.port() == other.port() && one.port() != 0 && contains
}
