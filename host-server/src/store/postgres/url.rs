//! Where the database is, as an operator writes it.

use std::net::IpAddr;
use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::session::whole;

/// The name that a client has in the views of the database.
const NAME: &str = "waxwing-server";

/// Where the database is, and how one gets there.
#[derive(Clone, Debug)]
pub struct Place {
    /// For the driver: one for each host, in the order in which they are tried.
    pub hosts: Vec<Config>,
    /// The certificates of those who may vouch for the database, in a PEM file. `None`: without TLS.
    pub root_certificates: Option<PathBuf>,
    /// What an error calls the URL.
    pub called: &'static str,
}

/// What an error says of a database and of the way to it.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The URL: the setting, or another one.
    pub(super) url: &'static str,
    role: String,
    database: String,
}

impl Place {
    pub(super) fn names(&self) -> Names {
        let host = self.hosts.first();
        Names {
            url: self.called,
            role: host.and_then(Config::get_user).unwrap_or_default().into(),
            database: host.and_then(Config::get_dbname).unwrap_or_default().into(),
        }
    }
}

impl Names {
    /// The command that makes the database, with these options.
    pub(super) fn createdb(&self, options: &str) -> String {
        format!("createdb {options}--owner={} {}", self.role, self.database)
    }

    /// What makes the role the owner of the database.
    pub(super) fn alter_owner(&self) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        format!("ALTER DATABASE {} OWNER TO {}", quoted(&self.database), quoted(&self.role))
    }
}

/// Why a URL is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It begins in another way.
    #[error("it has to begin with postgres:// or postgresql://")]
    Scheme,
    /// The driver does not understand it.
    #[error("{0}")]
    Nonsense(String),
    /// The driver knows it, and here it would do harm.
    #[error("{0} is not used here; name hosts and their ports before the name of the database")]
    Elsewhere(&'static str),
    /// It says the same thing twice.
    #[error("{0} is said twice")]
    Twice(&'static str),
    /// Others can read it, in the configuration and in the list of processes.
    #[error(
        "a password does not belong into it; write it into a file, and name that in storage.password_file"
    )]
    Password,
    /// It names nobody.
    #[error("it names no host, no user or no database")]
    Incomplete,
    /// Phones would travel in clear, or to somebody else.
    #[error(
        "the database is on another machine, so sslmode has to be verify-full, with sslrootcert: the file \
         with the certificates of those who may vouch for it"
    )]
    Unprotected,
    /// It cannot be both.
    #[error(
        "sslmode has to be disable or verify-full, and sslrootcert goes with verify-full alone"
    )]
    SslMode,
}

/// Reads a URL as libpq knows them. An unknown parameter is an error.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse(url: &str) -> Result<Place, UrlError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(UrlError::Scheme);
    }
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut roots, mut others) = (None, None, Vec::new());
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let before = match name {
            "sslmode" => mode.replace(value),
            "sslrootcert" => roots.replace(value),
            _ => {
                others.push(parameter);
                None
            }
        };
        if before.is_some() {
            return Err(UrlError::Twice(if name == "sslmode" { "sslmode" } else { "sslrootcert" }));
        }
    }
    let all = config(&format!("{place}?{}", others.join("&")))?;
    if all.get_password().is_some() {
        return Err(UrlError::Password);
    }
    if !all.get_hostaddrs().is_empty() {
        return Err(UrlError::Elsewhere("hostaddr"));
    }
    if all.get_hosts().is_empty() || all.get_user().is_none() || all.get_dbname().is_none() {
        return Err(UrlError::Incomplete);
    }
    let root_certificates = match (mode, roots) {
        (Some("verify-full"), Some(roots)) if !roots.is_empty() => Some(PathBuf::from(roots)),
        (Some("disable") | None, None) if all.get_hosts().iter().all(is_here) => None,
        (
            Some("disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full") | None,
            None,
        ) => {
            return Err(UrlError::Unprotected);
        }
        _ => return Err(UrlError::SslMode),
    };
    let tls = if root_certificates.is_some() { SslMode::Require } else { SslMode::Disable };
    let mut hosts = each_host(place)
        .map(|place| config(&format!("{place}?{}", others.join("&"))))
        .collect::<Result<Vec<_>, _>>()?;
    if hosts.len() != all.get_hosts().len() {
        return Err(UrlError::Elsewhere("host"));
    }
    for host in &mut hosts {
        // One that is not a standby is looked for.
        let host = host.ssl_mode(tls).target_session_attrs(TargetSessionAttrs::ReadWrite);
        host.application_name(NAME);
    }
    Ok(Place { hosts, root_certificates, called: "storage.url" })
}

fn config(url: &str) -> Result<Config, UrlError> {
    url.parse().map_err(|error: tokio_postgres::Error| UrlError::Nonsense(whole(&error)))
}

/// The same place with each of its hosts alone. The driver would let one that is silent use up the time of
/// all.
fn each_host(place: &str) -> impl Iterator<Item = String> {
    let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    hosts.split(',').map(move |host| format!("{scheme}://{user}@{host}{path}"))
}

/// Whether nothing goes over a network.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_on_the_machine_needs_no_tls() {
        for host in ["%2Frun%2Fpostgresql", "localhost", "127.0.0.1:5433", "[::1]"] {
            for mode in ["", "?sslmode=disable", "?connect_timeout=3&sslmode=disable"] {
                let place = parse(&format!("postgres://waxwing@{host}/chat{mode}"));
                let place = place.unwrap_or_else(|error| panic!("{host}{mode}: {error}"));
                assert_eq!(place.hosts[0].get_ssl_mode(), SslMode::Disable);
                assert_eq!(place.hosts[0].get_dbname(), Some("chat"));
                assert_eq!(place.root_certificates, None);
            }
        }
    }

    #[test]
    fn whatever_goes_over_a_network_is_protected_from_end_to_end() {
        let url = "postgres://waxwing@db1,db2:5433/chat?sslmode=verify-full&sslrootcert=/etc/waxwing/ca.pem";
        let place = parse(url).unwrap();
        assert_eq!(place.root_certificates, Some("/etc/waxwing/ca.pem".into()));
        let hosts = ["db1", "db2"].map(|host| vec![Host::Tcp(host.into())]);
        assert!(place.hosts.iter().map(Config::get_hosts).eq(&hosts));
        assert_eq!([place.hosts[0].get_ports(), place.hosts[1].get_ports()], [&[5_432], &[5_433]]);
        for host in &place.hosts {
            assert_eq!(host.get_user(), Some("waxwing"));
            assert_eq!(host.get_ssl_mode(), SslMode::Require);
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
        let modes = ["", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
        for mode in modes {
            for host in ["db1", "192.0.2.7", "localhost,db1"] {
                let url = format!("postgres://waxwing@{host}/chat?sslmode={mode}");
                let url = if mode.is_empty() { url.replace("?sslmode=", "") } else { url };
                assert_eq!(parse(&url).err(), Some(UrlError::Unprotected), "{url}");
            }
        }
    }

    #[test]
    fn a_url_that_makes_no_sense_is_an_error_that_says_why() {
        for (url, error) in [
            ("mysql://waxwing@localhost/chat", UrlError::Scheme),
            ("host=localhost user=waxwing", UrlError::Scheme),
            ("postgres://waxwing:secret@localhost/chat", UrlError::Password),
            ("postgres://localhost/chat", UrlError::Incomplete),
            ("postgres://waxwing@localhost", UrlError::Incomplete),
            ("postgres://waxwing@localhost/chat?sslmode=maybe", UrlError::SslMode),
            ("postgres://waxwing@localhost/chat?sslrootcert=a.pem", UrlError::SslMode),
            (
                "postgres://waxwing@localhost/chat?sslmode=disable&sslrootcert=a.pem",
                UrlError::SslMode,
            ),
            (
                "postgres://waxwing@localhost/chat?sslmode=disable&sslmode=disable",
                UrlError::Twice("sslmode"),
            ),
            (
                "postgres://waxwing@localhost/chat?hostaddr=127.0.0.1",
                UrlError::Elsewhere("hostaddr"),
            ),
            ("postgres://waxwing@localhost/chat?host=db2", UrlError::Unprotected),
            ("postgres://waxwing@localhost/chat?host=127.0.0.1", UrlError::Elsewhere("host")),
        ] {
            assert_eq!(parse(url).err(), Some(error), "{url}");
        }
        for url in [
            "postgres://waxwing@localhost/chat?fetch_size=9",
            "postgres://waxwing@localhost:port/chat",
        ] {
            let error = parse(url).expect_err(url);
            assert!(matches!(error, UrlError::Nonsense(_)), "{url}: {error}");
            assert!(!error.to_string().contains("secret"), "{url}: {error}");
        }
    }
}
