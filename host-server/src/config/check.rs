//! What no single value shows.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::kind::addresses;
use super::{Config, ConfigError, DeliveryKind, directory};
use crate::access::others_can_change;
use crate::otp;

impl Config {
    /// Whether a server can start with it: what only serving needs. An operator may look at users
    /// whatever this says.
    ///
    /// # Errors
    /// When codes would go to everyone without somebody having said so, or what the configuration
    /// names cannot be used.
    pub fn check_serving(&self) -> Result<(), ConfigError> {
        self.refuse_unverified()?;
        let Self { server, registration, otp, storage, .. } = self;
        registration.policy()?;
        otp::check(otp)?;
        storage.password()?;
        if fs::metadata(&server.data).is_ok_and(|metadata| !metadata.is_dir()) {
            let path = server.data.display();
            return Err(ConfigError(format!(
                "server.data: {path} is a file and no directory: name a directory"
            )));
        }
        server.control_socket()?;
        server.control_group_number()?;
        Ok(())
    }

    /// Whether the directories can be used that a server can serve without, those of its backups and of its
    /// log. They may be on disks that are lost one day, so this keeps nobody from serving: it is for whoever
    /// asks whether all is well.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn check_directories(&self) -> Result<(), ConfigError> {
        self.check_backups()?;
        check_place_of_log(&self.log.file)
    }

    /// Whether backups can be put into their directory, if there is one.
    ///
    /// # Errors
    /// When that is not so.
    pub fn check_backups(&self) -> Result<(), ConfigError> {
        let backups = &self.backup.directory;
        if backups.as_os_str().is_empty() {
            return Ok(());
        }
        directory::check(backups)
            .map_err(|why| ConfigError(format!("backup.directory: {}: {why}", backups.display())))
    }

    /// Refuses to hand codes to everyone without somebody having said so.
    fn refuse_unverified(&self) -> Result<(), ConfigError> {
        let Self { server, otp, .. } = self;
        if otp.delivery != DeliveryKind::InBand || otp.allow_unverified {
            return Ok(());
        }
        let public = server.listen.iter().find(|address| !address.ip().is_loopback());
        let reach = match public {
            Some(address) => address.to_string(),
            // What is behind a loopback address then is everybody whom the proxy lets through.
            None if !server.proxies.is_empty() => "a proxy of server.proxies".into(),
            None => return Ok(()),
        };
        Err(ConfigError(format!(
            "otp.delivery = \"in-band\" lets everybody who can reach {reach} register any phone: set \
             it to \"console\", \"exec\" or \"webhook\", or allow it with --allow-unverified"
        )))
    }

    /// Whether the values make sense together.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Self { server, registration, otp, storage, backup, canary, metrics, log, .. } = self;
        let uses = |kind| otp.ways().any(|way| way == kind);
        let rules = [
            (
                uses(DeliveryKind::Exec) && otp.exec.program.as_os_str().is_empty(),
                "otp.delivery = \"exec\" needs otp.exec.program, and so does otp.fallback",
            ),
            (
                uses(DeliveryKind::Webhook) && otp.webhook.url.is_empty(),
                "otp.delivery = \"webhook\" needs otp.webhook.url, and so does otp.fallback",
            ),
            (
                otp.fallback.is_some() && uses(DeliveryKind::InBand),
                "otp.fallback: a code in band proves nothing, and needs no other way",
            ),
            (
                otp.fallback == Some(otp.delivery),
                "otp.fallback is the way of otp.delivery: name another one, or none",
            ),
            (
                [
                    &server.data,
                    &server.control,
                    &registration.allow_file,
                    &otp.exec.program,
                    &otp.webhook.secret_file,
                    &otp.webhook.ca_file,
                    &storage.password_file,
                    &backup.directory,
                    &log.file,
                ]
                .into_iter()
                .any(has_nul),
                "server.data, server.control, registration.allow_file, otp.exec.program, \
                 otp.webhook.secret_file, otp.webhook.ca_file, storage.password_file, backup.directory and \
                 log.file must not contain the byte 0",
            ),
            (
                !storage.url.is_empty() && !backup.directory.as_os_str().is_empty(),
                "backup.directory: the server makes backups of SQLite alone. With storage.url, leave it empty, \
                 and back up the database with the tools of PostgreSQL",
            ),
            (
                backup.directory == server.data,
                "backup.directory and server.data are the same directory: let backups be in another one",
            ),
            (
                otp.exec.args.iter().any(|arg| arg.contains('\0')),
                "otp.exec.args must not contain the byte 0",
            ),
            (
                server.data.as_os_str().is_empty(),
                "server.data is empty: name the directory of key and database",
            ),
            (
                !canary.every.is_zero() && canary.every < Duration::from_secs(1),
                "canary.every has to be 0s, for never, or at least 1s",
            ),
            (
                metrics.listen.is_some_and(|metrics| {
                    server.listen.iter().any(|address| addresses::overlap(&metrics, address))
                }),
                "metrics.listen is an address of server.listen, or contains one, or is contained in one: \
                 give one of them another port",
            ),
        ];
        match rules.iter().find(|(broken, _)| *broken) {
            Some((_, why)) => Err(ConfigError((*why).into())),
            None => storage.check_url(),
        }
    }
}

/// Whether the file of the log is a plain one, or can be made where it is to be, and nobody else can put another in
/// its place.
///
/// # Errors
/// When that is not so.
pub(crate) fn check_place_of_log(file: &Path) -> Result<(), ConfigError> {
    let refused =
        |path: &Path, why: &str| ConfigError(format!("log.file: {}: {why}", path.display()));
    // Without a folder in its path, it is in the working directory.
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        directory::check(folder).map_err(|why| refused(folder, &why))?;
    }
    let Ok(found) = fs::symlink_metadata(file) else { return Ok(()) };
    match found.file_type() {
        kind if kind.is_file() => {
            others_can_change(file, &found).map_or(Ok(()), |why| Err(refused(file, &why)))
        }
        kind if kind.is_dir() => {
            Err(refused(file, "it is a directory and no file: name a file, such as one in it"))
        }
        kind if kind.is_symlink() => Err(refused(file, "it is a link: name the file itself")),
        _ => Err(refused(file, "it is no plain file: name one, or a place where none is yet")),
    }
}

fn has_nul(path: impl AsRef<Path>) -> bool {
    path.as_ref().as_os_str().as_encoded_bytes().contains(&0)
}
