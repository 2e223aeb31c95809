//! Codes sent to a gateway: one request over HTTPS for each.
//!
//! What a gateway answers is of no use but for its status, so nothing of it is read beyond that, and
//! nothing is logged. A request is made again only if it surely was not carried out: the gateway could not
//! be reached, or says that it is too busy. All tries of a code have one `Idempotency-Key`.

use std::cell::Cell;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use getrandom::SysRng;
use rand_chacha::rand_core::TryRng;
use rustls::CertificateError;
use rustls::crypto::aws_lc_rs::default_provider;
use ureq::http::StatusCode;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error, SendBody};
use waxwing_core::phone::{Otp, Phone};

use super::workers::{Ending, Job, Workers};
use super::{DeliveryError, DeliveryTicket, OtpDelivery, Report};
use crate::config::{ConfigError, WebhookConfig, WebhookRequest};

/// Requests at the same time.
const WORKERS: usize = 8;
/// Codes that may wait for one of them.
const QUEUE: usize = 256;
/// Bytes of the head of an answer.
const LARGEST_HEAD: usize = 16 << 10;
/// Before the first repetition; twice as long before each further one.
const BACK_OFF: Duration = Duration::from_millis(250);
/// How long a server that ends waits for a thread that waits, at most.
const LOOK: Duration = Duration::from_millis(50);

/// Asks a gateway to send each code, in threads of its own. When it is dropped, nothing more is begun; a
/// request that is under way ends with the process.
pub struct WebhookDelivery {
    workers: Workers,
}

impl WebhookDelivery {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the configuration cannot be used, or the system gives no thread.
    pub fn start(config: &WebhookConfig, report: &Report) -> io::Result<Self> {
        let gateway = Gateway::of(config).map_err(io::Error::other)?;
        let deliver = move |job: &Job, ending: &Ending| gateway.deliver(job, ending);
        Ok(Self { workers: Workers::start(WORKERS, QUEUE, report, Arc::new(deliver))? })
    }
}

impl OtpDelivery for WebhookDelivery {
    fn deliver(&self, ticket: DeliveryTicket, phone: &Phone, code: &Otp) {
        self.workers.deliver(ticket, phone, code);
    }

    fn retire(&mut self) {
        self.workers.retire();
    }

    fn is_done(&self) -> bool {
        self.workers.are_done()
    }
}

/// A gateway, and how it is spoken to.
pub(super) struct Gateway {
    agent: Agent,
    request: WebhookRequest,
}

/// How one try ended that did not bring the code on its way.
enum Failed {
    /// It surely was not carried out.
    Before(DeliveryError),
    /// Nobody knows.
    Perhaps(DeliveryError),
    /// The gateway has refused it.
    Refused(DeliveryError),
}

impl Gateway {
    /// The gateway that the configuration names.
    ///
    /// # Errors
    /// When it cannot be asked like that.
    pub(super) fn of(config: &WebhookConfig) -> Result<Self, ConfigError> {
        let request = config.request()?;
        let certificates: Vec<_> = parse_pem(&request.roots)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if certificates.is_empty() && !request.roots.is_empty() {
            return Err(ConfigError::new(
                "otp.webhook.ca_file: there is no certificate in PEM in it",
            ));
        }
        if request.url.parse::<ureq::http::Uri>().is_err() {
            return Err(ConfigError::new("otp.webhook.url: this is no address of a page"));
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&certificates))
            .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // Where else a code goes is not for the gateway, nor for an environment, to say.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .max_response_header_size(LARGEST_HEAD)
            // A connection that has been used may be dead, which the next code would find out.
            .max_idle_connections(0)
            .user_agent(concat!("waxwing-server/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { agent, request })
    }

    /// Has a code sent.
    fn deliver(&self, job: &Job, ending: &Ending) -> Result<(), DeliveryError> {
        let deadline = Instant::now() + self.request.timeout;
        let body = self.request.body(job.phone.as_str(), job.code.expose());
        let mut id = [0; 16];
        SysRng.try_fill_bytes(&mut id).map_err(|error| DeliveryError::Failed(error.to_string()))?;
        let id = hex(&id);
        let mut retries = 0..self.request.retries;
        let mut pause = BACK_OFF;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let failed = match self.ask(&id, &body, left) {
                Ok(()) => return Ok(()),
                Err(Failed::Refused(why) | Failed::Perhaps(why)) => return Err(why),
                Err(Failed::Before(why)) => why,
            };
            let has_time = deadline.saturating_duration_since(Instant::now()) > pause;
            if !has_time || retries.next().is_none() {
                return Err(failed);
            }
            rest(pause, ending)?;
            pause *= 2;
        }
    }

    /// Makes one request.
    fn ask(&self, id: &str, body: &[u8], timeout: Duration) -> Result<(), Failed> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut request = self.agent.post(&self.request.url);
        for header in &self.request.headers {
            request = request.header(&header.name, &header.value);
        }
        request = request
            .header("Content-Length", body.len())
            .header("Idempotency-Key", id)
            .header("X-Waxwing-Time", now);
        if let Some(secret) = &self.request.secret {
            request = request.header("X-Waxwing-Signature", signature(secret, now, body));
        }
        let mut watched = Watched { body, is_read: &Cell::new(false) };
        let is_read = watched.is_read;
        // The answer is dropped, and its connection with it: what comes behind its head is not read.
        let answer = request
            .config()
            .timeout_global(Some(timeout))
            .build()
            .send(SendBody::from_reader(&mut watched));
        let status = answer.map(|answer| answer.status()).map_err(|error| match is_read.get() {
            // No connection, so no request.
            false => Failed::Before(DeliveryError::Failed(no_connection(&error))),
            true if matches!(error, Error::Timeout(_)) => Failed::Perhaps(DeliveryError::TimedOut),
            true => Failed::Perhaps(DeliveryError::Unclear(
                "the gateway did not answer as HTTP is".into(),
            )),
        })?;
        let said = format!("the gateway answered {}", status.as_u16());
        match status {
            _ if status.is_success() => Ok(()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Err(Failed::Before(DeliveryError::Failed(said)))
            }
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(Failed::Refused(DeliveryError::Refused(said)))
            }
            _ => Err(Failed::Refused(DeliveryError::Failed(said))),
        }
    }
}

/// A body, and whether somebody has begun to read it: then there is a connection.
struct Watched<'a> {
    body: &'a [u8],
    is_read: &'a Cell<bool>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_read.set(true);
        self.body.read(buffer)
    }
}

/// Waits, but not for long when the server ends.
fn rest(pause: Duration, ending: &Ending) -> Result<(), DeliveryError> {
    let until = Instant::now() + pause;
    loop {
        if ending.has_begun() {
            return Err(DeliveryError::Ending);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK));
    }
}

/// HMAC-SHA256 over the time, a dot and the body.
fn signature(secret: &[u8], time: u64, body: &[u8]) -> String {
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    hmac.update(time.to_string().as_bytes());
    hmac.update(b".");
    hmac.update(body);
    format!("sha256={}", hex(hmac.sign().as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Text takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Why there is no connection, in words of ours: what the other end says may be anything.
fn no_connection(error: &Error) -> String {
    let tls = |error: &rustls::Error| match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "nobody who is trusted vouches for the certificate of the gateway (otp.webhook.ca_file)"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the certificate of the gateway has expired",
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the certificate of the gateway is for another name",
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "the certificate of the gateway is not valid yet; is the clock right?",
        // It has no variant of its own.
        rustls::Error::InvalidCertificate(CertificateError::Other(why))
            if why.to_string() == "CaUsedAsEndEntity" =>
        {
            "the certificate of the gateway is that of an authority; make one for the gateway that the \
             authority vouches for (basicConstraints=CA:FALSE), and name the authority in otp.webhook.ca_file"
        }
        rustls::Error::InvalidCertificate(_) => "the certificate of the gateway cannot be used",
        _ => "the gateway does not speak TLS as it should",
    };
    match error {
        Error::Timeout(_) => "the gateway cannot be reached in time".into(),
        Error::HostNotFound => "the name of the gateway has no address".into(),
        Error::Rustls(error) => tls(error).into(),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => tls(error).into(),
            // What the system says has no kind of its own.
            None if error.to_string().starts_with("failed to lookup address") => {
                "the name of the gateway has no address".into()
            }
            None if error.source().is_some() => "the gateway cannot be reached".into(),
            None => format!("the gateway cannot be reached: {}", error.kind()),
        },
        _ => "the gateway cannot be reached".into(),
    }
}

#[cfg(test)]
mod tests;
