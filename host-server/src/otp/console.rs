//! Codes on the operator's console.

use std::io::ErrorKind;

use waxwing_core::phone::{Otp, Phone};

use zeroize::Zeroizing;

use super::{DeliveryError, DeliveryTicket, OtpDelivery, Report};
use crate::stderr;

/// Prints codes on standard error. That is a channel of its own, chosen by the operator: no
/// code goes through the log.
pub struct ConsoleDelivery {
    report: Report,
}

impl ConsoleDelivery {
    /// Tells `report` how it went.
    #[must_use]
    pub fn new(report: Report) -> Self {
        Self { report }
    }
}

impl OtpDelivery for ConsoleDelivery {
    fn deliver(&self, ticket: DeliveryTicket, phone: &Phone, code: &Otp) {
        let report = self.report.clone();
        stderr::write_and_tell(line(phone, code), move |written| {
            let result = written.map_err(|error| match error.kind() {
                ErrorKind::WouldBlock => DeliveryError::Busy,
                _ => DeliveryError::Unusable(error.to_string()),
            });
            report(ticket, result);
        });
    }
}

fn line(phone: &Phone, code: &Otp) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(Vec::with_capacity(64));
    line.extend_from_slice(format!("OTP for {phone:?}: ").as_bytes());
    line.extend_from_slice(code.expose());
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_code_and_the_ends_of_the_phone() {
        let phone = Phone::parse(b"+4915112345617").unwrap();
        let line = line(&phone, &Otp::parse(b"012345").unwrap());
        assert_eq!(*line, "OTP for +49…17: 012345\n".as_bytes());
    }
}
