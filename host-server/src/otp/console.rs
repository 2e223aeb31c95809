//! Codes on the operator's console.

use std::io::{self, Write};

use waxwing_core::phone::{Otp, Phone};

use super::{DeliveryError, DeliveryTicket, OtpDelivery, Report};

/// Prints codes on standard error. That is a channel of its own, chosen by the operator: no
/// code goes through the log.
pub struct ConsoleDelivery {
    report: Report,
}

impl ConsoleDelivery {
    /// Tells `report` at once how it went.
    #[must_use]
    pub fn new(report: Report) -> Self {
        Self { report }
    }
}

impl OtpDelivery for ConsoleDelivery {
    fn deliver(&self, ticket: DeliveryTicket, phone: &Phone, code: &Otp) {
        let printed = print(&mut io::stderr().lock(), phone, code);
        let result = printed.map_err(|error| DeliveryError::Unusable(error.to_string()));
        (self.report)(ticket, result);
    }
}

fn print(out: &mut dyn Write, phone: &Phone, code: &Otp) -> io::Result<()> {
    let digits = std::str::from_utf8(code.expose()).unwrap_or_default();
    writeln!(out, "OTP for {phone:?}: {digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_code_and_the_ends_of_the_phone() {
        let phone = Phone::parse(b"+4915112345617").unwrap();
        let mut line = Vec::new();
        print(&mut line, &phone, &Otp::parse(b"012345").unwrap()).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "OTP for +49…17: 012345\n");
    }
}
