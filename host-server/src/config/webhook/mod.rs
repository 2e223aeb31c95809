//! Codes by webhook: what is sent to a gateway, and whom it is sent to.

mod header;
mod template;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

pub use header::Header;
use template::{Encoding, Template, media_type};

use super::{ConfigError, WebhookConfig, named_file};
use crate::access;

/// Bytes of a secret.
const SECRET: std::ops::RangeInclusive<usize> = 16..=4_096;
/// Bytes of a file of certificates.
const LARGEST_CA_FILE: usize = 4 << 20;

/// Where systems keep the certificates of those whom they trust.
const SYSTEM_CA_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What a gateway is asked, once for each code.
pub struct WebhookRequest {
    /// Where it goes.
    pub url: String,
    /// Headers, the content type included.
    pub headers: Vec<Header>,
    /// What it is signed with.
    pub secret: Option<Zeroizing<Vec<u8>>>,
    /// Certificates in PEM: one of them has to vouch for the gateway. Empty where there is no TLS.
    pub roots: Zeroizing<Vec<u8>>,
    /// How long all tries of one code together may take.
    pub timeout: Duration,
    /// How often it is tried again.
    pub retries: u32,
    body: Template,
    encoding: Encoding,
}

impl WebhookConfig {
    /// The request that it means. The files are read anew each time.
    ///
    /// # Errors
    /// When the gateway cannot be asked like that.
    pub fn request(&self) -> Result<WebhookRequest, ConfigError> {
        let Self { url, body, headers, secret_file, ca_file, timeout, retries } = self;
        let key = |name: &'static str| move |why| ConfigError(format!("otp.webhook.{name}: {why}"));
        let scheme = Scheme::of(url).map_err(key("url"))?;
        let mut headers = headers.clone();
        if !headers.iter().any(|header| header.is("content-type")) {
            let (name, value) = ("Content-Type".into(), "application/json".into());
            headers.push(Header { name, value });
        }
        let content_type = headers.iter().find(|header| header.is("content-type"));
        let content_type = content_type.map(|header| header.value.as_str()).unwrap_or_default();
        let encoding = Encoding::of(content_type);
        let body = Template::parse(body).map_err(key("body"))?;
        if media_type(content_type) == "application/json" {
            check_json(&body).map_err(key("body"))?;
        }
        let has_secret = !secret_file.as_os_str().is_empty();
        let secret = has_secret.then(|| secret(secret_file)).transpose();
        let roots = match scheme {
            Scheme::Http => Zeroizing::default(),
            Scheme::Https => roots(ca_file).map_err(key("ca_file"))?,
        };
        Ok(WebhookRequest {
            url: url.clone(),
            headers,
            secret: secret.map_err(key("secret_file"))?,
            roots,
            timeout: *timeout,
            retries: *retries,
            body,
            encoding,
        })
    }
}

impl WebhookRequest {
    /// The body for this phone and this code.
    #[must_use]
    pub fn body(&self, phone: &str, code: &[u8]) -> Zeroizing<Vec<u8>> {
        self.body.fill(phone, code, self.encoding)
    }
}

/// Where it goes may have a password in it, and the headers, too.
impl fmt::Debug for WebhookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookRequest(…)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// How a code would travel to `url`; why not, if it would travel in clear over a network. The URL is
    /// not shown: gateways have passwords in it.
    fn of(url: &str) -> Result<Self, String> {
        let lower = url.to_ascii_lowercase();
        let (scheme, rest) = match (lower.strip_prefix("https://"), lower.strip_prefix("http://")) {
            (Some(rest), _) => (Self::Https, rest),
            (_, Some(rest)) => (Self::Http, rest),
            _ => {
                return Err(
                    "write the address of the gateway, as in \"https://sms.example/send\"".into()
                );
            }
        };
        if !url.bytes().all(|b| b.is_ascii_graphic()) || url.contains('#') {
            return Err("it has a space, a # or a letter that has to be written with %".into());
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err("it names no host".into());
        }
        if authority.contains('@') {
            return Err(
                "a name and a password belong in a header, \"Authorization: Basic ...\"".into()
            );
        }
        if scheme == Self::Http && !is_loopback(authority) {
            return Err(
                "without TLS a code may go to this machine only: write https, or an address such \
                        as http://127.0.0.1:8080"
                    .into(),
            );
        }
        Ok(scheme)
    }
}

/// Whether this is an address of this machine. What a name such as localhost means is for others to say.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn check_json(body: &Template) -> Result<(), String> {
    // A code that begins with 0 is no number.
    let sample = body.fill("+15550001111", b"012345", Encoding::Plain);
    let parsed: Result<IgnoredAny, _> = serde_json::from_slice(&sample);
    parsed.map(|_| ()).map_err(|error| {
        format!(
            "with a phone and a code in it, it is no JSON ({error}): put {{phone}} and {{code}} in quotes, or \
             set another Content-Type in otp.webhook.headers"
        )
    })
}

/// The secret in a file, without the end of its line.
fn secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let secret = named_file::secret(path, *SECRET.end())
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if !SECRET.contains(&secret.len()) {
        return Err(format!(
            "{}: a secret has at least {} bytes; make one with: openssl rand -hex 32",
            path.display(),
            SECRET.start()
        ));
    }
    Ok(secret)
}

/// The certificates of those whom the operator, or else this machine, trusts.
fn roots(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let system = SYSTEM_CA_FILES.map(Path::new).into_iter().find(|path| path.is_file());
    let path = match (path.as_os_str().is_empty(), system) {
        (false, _) => path,
        (true, Some(system)) => system,
        (true, None) => {
            return Err(
                "this machine has no certificates: install its package ca-certificates, or name a \
                        file in PEM"
                    .into(),
            );
        }
    };
    let roots = named_file::read(path, LARGEST_CA_FILE, |metadata| {
        access::others_can_change(path, metadata)
    });
    let roots = roots.map_err(|error| format!("{}: {error}", path.display()))?;
    if roots.iter().all(u8::is_ascii_whitespace) {
        return Err(format!(
            "{}: it is empty; write certificates in PEM into it, or leave this setting empty for those \
             that this machine trusts",
            path.display()
        ));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests;
