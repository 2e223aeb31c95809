//! `storage schema`: which versions can use the database; and what else there is to do with all of it.

#[cfg(feature = "postgres")]
mod adopt;
#[cfg(feature = "postgres")]
mod copy;

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::Paper;
use crate::cli::StorageCommand;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::store::{self, Schema, Use};

/// A database and this program, as the operator reads of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Versions {
    schema: i64,
    /// The oldest schema that a program has to know; nothing where only the schema itself counts.
    min_reader: Option<i64>,
    written_by: Option<String>,
    /// The version of this program, and the schema that it writes.
    version: String,
    writes: i64,
    /// `serves`, `changes` or `refuses`.
    this_version: String,
}

impl Versions {
    fn of(schema: &Schema) -> Self {
        let Schema { found, min_reader, written_by, known, outcome } = schema.clone();
        let this_version = match outcome {
            Use::Serves => "serves",
            Use::Changes => "changes",
            Use::Refuses => "refuses",
        };
        Self {
            schema: found,
            min_reader,
            written_by,
            version: env!("CARGO_PKG_VERSION").into(),
            writes: known,
            this_version: this_version.into(),
        }
    }

    fn page(out: &mut dyn Write, versions: &Self) -> io::Result<()> {
        let Self { schema, min_reader, written_by, version, writes, this_version } = versions;
        let by = written_by.as_ref().map(|version| format!(", written by version {version}"));
        let readers = min_reader.map(|min| format!("; versions that know schema {min} can use it"));
        let (by, readers) = (by.unwrap_or_default(), readers.unwrap_or_default());
        writeln!(out, "database   schema {schema}{by}{readers}")?;
        let does = match this_version.as_str() {
            "serves" => "serves it as it is",
            "changes" => "brings it up to date when it starts, and keeps a copy of what it was",
            _ => "cannot use it",
        };
        writeln!(out, "version    {version} writes schema {writes}, and {does}")
    }
}

pub(super) fn run(command: &StorageCommand, paper: &mut Paper<'_>) -> Result<(), Failure> {
    match command {
        StorageCommand::Schema => schema(paper),
        #[cfg(feature = "postgres")]
        StorageCommand::Copy { to: Some(url), .. } => copy::to_database(url, paper),
        #[cfg(feature = "postgres")]
        StorageCommand::Copy { from: Some(url), .. } => copy::from_database(url, paper),
        #[cfg(feature = "postgres")]
        StorageCommand::Adopt { registered_since } => adopt::adopt(*registered_since, paper),
        // The command line asks for one of them.
        #[cfg(feature = "postgres")]
        StorageCommand::Copy { to: None, from: None } => Ok(()),
        #[cfg(not(feature = "postgres"))]
        StorageCommand::Copy { .. } | StorageCommand::Adopt { .. } => Err(without_postgres()),
    }
}

#[cfg(not(feature = "postgres"))]
pub(super) fn without_postgres() -> Failure {
    let why = "this program was built without PostgreSQL; build it with its default features";
    Failure::new(Exit::Config, why)
}

fn schema(paper: &mut Paper<'_>) -> Result<(), Failure> {
    let config = paper.config;
    let directory = DataDir::existing(&config.server.data)?;
    let schema = store::schema(config, &directory).map_err(Failure::of_storage)?;
    paper.write(&Versions::of(&schema), Versions::page)?;
    if schema.outcome != Use::Refuses {
        return Ok(());
    }
    let version = match schema.written_by {
        Some(version) => format!("version {version}, which wrote it"),
        None => "the version that wrote it".into(),
    };
    let message = format!("this version cannot use the database; run {version}, or a later one");
    Err(Failure::new(Exit::Storage, message))
}
