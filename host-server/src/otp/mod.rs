//! How one-time passwords reach their phones.
//!
//! The server machine draws a code and hands it over with a ticket. Whether it went out comes
//! back through a callback, so that a code that nobody can have received is dropped. In-band
//! delivery needs none of this: the code is in the 200.

mod console;
mod exec;

use std::io;
use std::sync::Arc;

use waxwing_core::phone::{Otp, Phone};

use crate::config::{DeliveryKind, OtpConfig};

pub use console::ConsoleDelivery;
pub use exec::ExecDelivery;

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
    /// The program says that it has failed.
    #[error("failed: {0}")]
    Failed(String),
    /// The server ends, and no code is delivered any more.
    #[error("the server ends")]
    Ending,
    /// The program took too long and was killed.
    #[error("took too long")]
    TimedOut,
}

/// Is told how each delivery ended; called from any thread, also from within
/// [`OtpDelivery::deliver`].
pub type Report = Arc<dyn Fn(DeliveryTicket, Result<(), DeliveryError>) + Send + Sync>;

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

/// The configured way; `None` when codes go in band.
///
/// # Errors
/// When the system gives no thread.
pub fn delivery(config: &OtpConfig, report: Report) -> io::Result<Option<Box<dyn OtpDelivery>>> {
    Ok(match config.delivery {
        DeliveryKind::InBand => None,
        DeliveryKind::Console => Some(Box::new(ConsoleDelivery::new(report))),
        DeliveryKind::Exec => Some(Box::new(ExecDelivery::start(&config.exec, &report)?)),
    })
}
