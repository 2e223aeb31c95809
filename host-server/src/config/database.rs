//! The database that several servers share, as the configuration names it.

use zeroize::Zeroizing;

use super::{ConfigError, StorageConfig, named_file};
#[cfg(feature = "postgres")]
use crate::store::postgres::{self, Place};

/// Bytes of a password.
const LONGEST_PASSWORD: usize = 1_024;

impl StorageConfig {
    /// Whether several servers can reach the storage.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        !self.url.is_empty()
    }

    /// The password for the database, if it needs one. The file is read anew each time.
    ///
    /// # Errors
    /// When the file cannot be read, or others can.
    pub fn password(&self) -> Result<Option<Zeroizing<Vec<u8>>>, ConfigError> {
        let path = &self.password_file;
        if path.as_os_str().is_empty() || !self.is_shared() {
            return Ok(None);
        }
        let wrong =
            |why: &str| ConfigError(format!("storage.password_file: {}: {why}", path.display()));
        let password = named_file::secret(path, LONGEST_PASSWORD)
            .map_err(|error| wrong(&error.to_string()))?;
        if password.is_empty() {
            return Err(wrong("it is empty; write the password of the database's role into it"));
        }
        Ok(Some(password))
    }

    /// Where the database is.
    ///
    /// # Errors
    /// When the URL is none, or would let phones travel unprotected.
    #[cfg(feature = "postgres")]
    pub fn place(&self) -> Result<Place, ConfigError> {
        postgres::parse(&self.url).map_err(|why| ConfigError(format!("storage.url: {why}")))
    }

    /// Whether the URL is one.
    #[cfg(feature = "postgres")]
    pub(super) fn check_url(&self) -> Result<(), ConfigError> {
        if self.is_shared() { self.place().map(|_| ()) } else { Ok(()) }
    }

    /// There is no use for one.
    #[cfg(not(feature = "postgres"))]
    pub(super) fn check_url(&self) -> Result<(), ConfigError> {
        if !self.is_shared() {
            return Ok(());
        }
        Err(ConfigError(
            "storage.url: this program was built without PostgreSQL. Build it with its default features, or \
             add --features postgres; or leave storage.url empty, for SQLite in server.data"
                .into(),
        ))
    }
}
