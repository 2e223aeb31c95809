//! `health`: whether the server is well, for whoever restarts it or sends people to it.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::super::control::Answer;
use super::super::health::Health;
use super::super::http::Watched;
use super::super::protocol::{self, Asked, Request, item};
use super::super::running::Interrupted;
use super::super::wait;
use super::{Paper, reach};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};

/// A server needs four seconds at most to ask its loops, and two to say it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the longest answer that is read.
const MAX_ANSWER: usize = 4 << 10;

// ---- In the server ----

pub(super) fn answer(
    watched: &dyn Watched,
    ready: bool,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    item(answer, watched.health(ready))
}

// ---- For the operator ----

/// All that can go wrong says that the server is not well.
pub(super) fn run(ready: bool, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let asked = ask(paper.config, ready);
    let health = asked.unwrap_or_else(|message| Health { healthy: false, message });
    if health.healthy {
        return paper.write(&health, |out, health| writeln!(out, "{}", health.message));
    }
    let failure = Failure::new(Exit::Failure, &health.message);
    Err(failure.with("healthy", false).with("message", health.message))
}

/// Asks the control socket, and the address of `metrics.listen` only if no server answers there: that address
/// may be another one since the server has started.
fn ask(config: &Config, ready: bool) -> Result<Health, String> {
    let deadline = wait::deadline(PATIENCE);
    let silent = match over_socket(config, ready) {
        Ok(health) => return Ok(health),
        Err(silent) => silent,
    };
    // Nobody but the server knows which port it was given for port 0.
    let listen = config.metrics.listen.filter(|address| address.port() != 0);
    match listen {
        Some(address) if is_meant(config, silent.exit()) => {
            over_http(address, ready, deadline).map_err(|why| format!("{silent}; {why}"))
        }
        _ => Err(silent.to_string()),
    }
}

fn over_socket(config: &Config, ready: bool) -> Result<Health, Failure> {
    protocol::ask_one(reach::connect(config)?, &Asked::new(config, Request::Health { ready }))
}

/// Over HTTP, nobody says whose server answers, and another one may answer at the same address. So whether
/// the server that is meant may be there depends on how its control socket was silent.
fn is_meant(config: &Config, silent: Exit) -> bool {
    let data = &config.server.data;
    match (silent, fs::metadata(data)) {
        // Nobody listens. Somebody may have said no more than the address of metrics.listen.
        (Exit::Network, Err(error)) if error.kind() == ErrorKind::NotFound => {
            *data == Config::default().server.data
        }
        // The socket may be elsewhere since server.control was changed.
        (Exit::Network, _) => DataDir::existing(data).is_ok_and(|data| !data.users().is_empty()),
        // It is the server of another data directory, or the path of the socket would be too long.
        (Exit::Config, _) => config.server.control_socket() == Ok(None),
        // It does not serve this user, or nobody more at this moment.
        _ => true,
    }
}

fn over_http(address: SocketAddr, ready: bool, deadline: Instant) -> Result<Health, String> {
    let address = reachable(address);
    let path = if ready { "/readyz" } else { "/healthz" };
    match fetch(address, path, deadline) {
        Ok((200, message)) => Ok(Health { healthy: true, message }),
        Ok((503, message)) => Ok(Health { healthy: false, message }),
        Ok((status, _)) => Err(format!(
            "what listens on {address} answers with the status {status}: it is no Waxwing server, or \
             one of another version"
        )),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(format!("what listens on {address} does not speak HTTP: it is no Waxwing server"))
        }
        Err(error) => {
            Err(format!("no server answers at {address}, the address of metrics.listen: {error}"))
        }
    }
}

/// Where a server is reached that listens on an address: one that means all addresses is none.
const fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The status and the text of an answer.
fn fetch(address: SocketAddr, path: &str, deadline: Instant) -> io::Result<(u16, String)> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    let stream = TcpStream::connect_timeout(&address, left)?;
    stream.set_nonblocking(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    wait::write(&stream, request.as_bytes(), deadline)?;
    let mut answer = vec![0; MAX_ANSWER];
    let mut filled = 0;
    while let Some(room) = answer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match wait::read(&stream, room, deadline)? {
            0 => break,
            read => filled += read,
        }
    }
    answer.truncate(filled);
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let no_http = || io::Error::from(ErrorKind::InvalidData);
    let Ok(httparse::Status::Complete(head)) = response.parse(&answer) else {
        return Err(no_http());
    };
    let status = response.code.ok_or_else(no_http)?;
    let body = answer.get(head..).unwrap_or_default();
    Ok((status, String::from_utf8_lossy(body).trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_asked_at_home() {
        for (listen, asked) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
