//! What no single value shows.

use std::time::Duration;

use super::{Config, ConfigError, DeliveryKind};

impl Config {
    /// Refuses to hand codes to everyone without somebody having said so. Only serving needs
    /// this; an operator may look at users whatever the flags of the server are.
    ///
    /// # Errors
    /// When it is in-band delivery on an address that others can reach, and not allowed.
    pub fn refuse_unverified(&self) -> Result<(), ConfigError> {
        let Self { server, otp, .. } = self;
        let private = server.listen.ip().to_canonical().is_loopback();
        if otp.delivery != DeliveryKind::InBand || otp.allow_unverified || private {
            return Ok(());
        }
        Err(ConfigError(format!(
            "in-band one-time passwords prove no phone, and others can reach {}: set otp.delivery \
             to \"console\" or \"exec\", or allow it with --allow-unverified",
            server.listen
        )))
    }

    /// Whether the values make sense together.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let seconds_u16 = Duration::from_secs(u16::MAX.into());
        let Self { server, otp, letters, .. } = self;
        let exec = &otp.exec;
        let rules = [
            (
                otp.delivery == DeliveryKind::Exec && exec.program.as_os_str().is_empty(),
                "otp.delivery = \"exec\" needs otp.exec.program",
            ),
            (
                otp.ttl < Duration::from_secs(1) || otp.ttl > seconds_u16,
                "otp.ttl has to be from 1s to 65535s",
            ),
            (otp.resend_after > seconds_u16, "otp.resend_after has to be 65535s at most"),
            (otp.attempts == 0, "otp.attempts has to be 1 at least"),
            (exec.workers == 0, "otp.exec.workers has to be 1 at least"),
            (exec.queue == 0, "otp.exec.queue has to be 1 at least"),
            (
                letters.max_size > usize::from(u16::MAX),
                "letters.max_size has to be 65535 at most: the wire has no room for more",
            ),
            (server.data.as_os_str().is_empty(), "server.data is empty"),
            (!(1..=256).contains(&server.loops), "server.loops has to be from 1 to 256"),
        ];
        match rules.iter().find(|(broken, _)| *broken) {
            Some((_, why)) => Err(ConfigError((*why).into())),
            None => Ok(()),
        }
    }
}
