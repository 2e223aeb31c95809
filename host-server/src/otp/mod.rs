//! How one-time passwords reach their phones.
//!
//! The server machine draws a code and hands it over with a ticket. Whether it went out comes
//! back through a callback, so that a code that nobody can have received is dropped. In-band
//! delivery needs none of this: the code is in the 200.

mod breaker;
mod console;
mod exec;
mod test_codes;
mod ways;
#[cfg(feature = "aws-lc")]
mod webhook;
mod workers;

use std::io;
use std::sync::Arc;

use waxwing_core::phone::{Otp, Phone};

use crate::config::{ConfigError, DeliveryKind, OtpConfig, WebhookConfig};

pub(crate) use breaker::FAILURES;
pub use console::ConsoleDelivery;
pub use exec::ExecDelivery;
pub(crate) use test_codes::TestCodes;
pub use test_codes::{TestAnswer, TestEnd, TestRefused};
pub use ways::{DeliveryReport, Failing, MOST_WAYS, WayNumber, WayReport, Ways};
#[cfg(feature = "aws-lc")]
pub use webhook::WebhookDelivery;

/// Names a delivery, so that its end can be told. It says nothing about phone or code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryTicket(pub u64);

/// Why a code did not go out. Holds neither phone nor code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Too many are waiting.
    #[error("too many deliveries are waiting")]
    Busy,
    /// The program cannot be run, or the console not be written to.
    #[error("cannot be started: {0}")]
    Unusable(String),
    /// The program, or the gateway, says that it has failed.
    #[error("failed: {0}")]
    Failed(String),
    /// The program, or the gateway, works, and sends nothing to this phone.
    #[error("not for this phone: {0}")]
    Refused(String),
    /// The server ends, and no code is delivered any more.
    #[error("the server ends")]
    Ending,
    /// The program took too long and was killed, or the gateway did not answer in time.
    #[error("took too long")]
    TimedOut,
    /// The gateway was asked, and nobody knows whether it has sent the code.
    #[error("may have gone out: {0}")]
    Unclear(String),
}

/// Is told how each delivery ended; called from any thread, also from within
/// [`OtpDelivery::deliver`].
pub type Report = Arc<dyn Fn(DeliveryTicket, Result<(), DeliveryError>) + Send + Sync>;

/// Is told what has become of a code on one of the ways; called from any thread.
pub type WayReports = Arc<dyn Fn(WayReport) + Send + Sync>;

/// A way to deliver codes.
pub trait OtpDelivery: Send {
    /// Sends `code` on its way to `phone` without waiting for its arrival.
    fn deliver(&self, ticket: DeliveryTicket, phone: &Phone, code: &Otp);

    /// Takes no more codes. Those that it has are still delivered.
    fn retire(&mut self) {}

    /// Whether it has nothing more to do, once it has retired.
    fn is_done(&self) -> bool {
        true
    }
}

impl DeliveryError {
    /// Whether the code may have gone out all the same.
    #[must_use]
    pub const fn may_be_out(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Unclear(_))
    }

    /// What somebody can do who tries a way out.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Busy => "try again in a minute",
            Self::Unusable(_) => {
                "look at otp.exec.program, or at standard error of the server for the console"
            }
            Self::Failed(_) => "the log of the program, or of the gateway, may say more",
            Self::Refused(_) => "try another phone, one that can get messages",
            Self::Ending => "try again when the server runs",
            Self::TimedOut => {
                "look whether the program or the gateway hangs; otp.exec.timeout and otp.webhook.timeout say how \
                 long it may take"
            }
            Self::Unclear(_) => {
                "look whether the code has arrived, and whether otp.webhook.url names the gateway"
            }
        }
    }

    /// Whether it says that the way is out of order. Strangers choose phones: what is wrong with one of
    /// them must not keep codes from others.
    pub(crate) const fn blames_the_way(&self) -> bool {
        !matches!(self, Self::Busy | Self::Refused(_) | Self::Ending)
    }
}

/// Whether the ways that are configured can be used.
///
/// # Errors
/// When a way cannot be used; says why.
pub(crate) fn check(config: &OtpConfig) -> Result<(), ConfigError> {
    config.ways().try_for_each(|kind| match kind {
        DeliveryKind::InBand | DeliveryKind::Console => Ok(()),
        DeliveryKind::Exec => config.exec.check(),
        DeliveryKind::Webhook => check_webhook(&config.webhook),
    })
}

#[cfg(feature = "aws-lc")]
fn check_webhook(config: &WebhookConfig) -> Result<(), ConfigError> {
    webhook::Gateway::of(config).map(|_| ())
}

#[cfg(not(feature = "aws-lc"))]
fn check_webhook(_: &WebhookConfig) -> Result<(), ConfigError> {
    Err(ConfigError::new(
        "otp.delivery or otp.fallback = \"webhook\": this program was built without the feature aws-lc, and so without \
         TLS; use \"exec\" with a program such as curl",
    ))
}

/// The configured ways; none when codes go in band. They tell `report` what became of each code.
///
/// # Errors
/// When the system gives no thread.
pub fn ways(config: &OtpConfig, report: &WayReports) -> io::Result<Ways> {
    let mut ways = Ways::default();
    for (number, kind) in config.ways().enumerate() {
        let report = report.clone();
        let report: Report = Arc::new(move |ticket, result| report((number, ticket, result)));
        let way: Box<dyn OtpDelivery> = match kind {
            DeliveryKind::InBand => continue,
            DeliveryKind::Console => Box::new(ConsoleDelivery::new(report)),
            DeliveryKind::Exec => Box::new(ExecDelivery::start(&config.exec, &report)?),
            #[cfg(feature = "aws-lc")]
            DeliveryKind::Webhook => Box::new(WebhookDelivery::start(&config.webhook, &report)?),
            #[cfg(not(feature = "aws-lc"))]
            DeliveryKind::Webhook => return Err(io::Error::from(io::ErrorKind::Unsupported)),
        };
        ways.add(kind.name(), way);
    }
    Ok(ways)
}
