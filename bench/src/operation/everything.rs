//! Everything that an operator can turn on, and what then reads the server's numbers.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::process::{ServerBinary, Settings};

/// How often Prometheus asks if nobody tells it otherwise.
const SCRAPE_EVERY: Duration = Duration::from_secs(15);
/// How often the server writes to itself here: more often than by default, so that each run has it.
const CANARY_EVERY: &str = "10s";
/// For an answer over HTTP.
const PATIENCE: Duration = Duration::from_secs(10);

/// Metrics, a log in a file, backups by the clock, and letters of the server to itself, all on.
pub(crate) struct Everything {
    metrics: SocketAddr,
    directory: TempDir,
    has_canary: bool,
}

/// Whether the server can write to itself now and then.
pub(crate) fn has_canary(binary: &ServerBinary) -> bool {
    binary.knows("canary.every")
}

impl Everything {
    /// With its files below `directory`, as far as the server has settings for it.
    pub(crate) fn below(directory: &Path, binary: &ServerBinary) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let directory = tempfile::Builder::new().prefix("waxwing-bench-").tempdir_in(directory)?;
        fs::create_dir(directory.path().join("backups"))?;
        // A port that nobody else has at the moment.
        let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(Self { metrics, directory, has_canary: has_canary(binary) })
    }

    pub(crate) fn settings(&self) -> Settings {
        let file = |name: &str| self.directory.path().join(name).display().to_string();
        let mut values = vec![
            ("backup.directory", file("backups")),
            ("log.file", file("log.json")),
            ("log.format", "json".into()),
            ("log.level", "info".into()),
            ("metrics.listen", self.metrics.to_string()),
        ];
        if self.has_canary {
            values.push(("canary.every", CANARY_EVERY.into()));
        }
        Settings { values, file: None }
    }

    /// Reads the server's numbers, and again each 15 seconds, for as long as `span`.
    pub(crate) fn scrape_for(&self, span: Duration) -> Result<()> {
        let begun = Instant::now();
        while let Some(left) = span.checked_sub(begun.elapsed()) {
            self.page()?;
            thread::sleep(left.min(SCRAPE_EVERY));
        }
        Ok(())
    }

    /// The page of the server's numbers.
    pub(crate) fn page(&self) -> Result<String> {
        let mut stream = TcpStream::connect(self.metrics).context("metrics.listen")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        ensure!(page.starts_with("HTTP/1.1 200 "), "no numbers: {page}");
        Ok(page)
    }
}
