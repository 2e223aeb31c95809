//! A database that is filled from another storage, or whose content goes to another one.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row as Found};

use super::opening::{self, SETTINGS};
use super::session::{self, Row as Texts, Sessions};
use super::url::Names;
use super::{PostgresOptions, ids};
use crate::store::moving::{self, Kind, Row, Side, Sum, Table, Target, Value};
use crate::store::shared::{Epoch, Node};
use crate::store::{ApplyError, StorageError};

/// Rows that are read at once.
const FETCH: &str = "FETCH 200 FROM all_rows";

/// What a database is to servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum State {
    /// It has no tables.
    Nothing,
    /// Not everything is in it yet, or nobody has said that it is.
    Copying,
    Open,
    Moved,
    Doubtful,
}

/// A database during a move.
pub(in crate::store) struct Moving {
    sessions: Sessions,
    node: Node,
    state: State,
}

impl Moving {
    /// Connects, and looks what is there.
    pub(in crate::store) fn connect(options: PostgresOptions) -> Result<Self, StorageError> {
        let mut sessions = opening::connect(&options)?;
        let state = match opening::about(&mut sessions)? {
            None => State::Nothing,
            Some((schema, state)) => {
                opening::expect_known(schema)?;
                match state.as_str() {
                    "copying" => State::Copying,
                    "open" => State::Open,
                    "moved" => State::Moved,
                    _ => State::Doubtful,
                }
            }
        };
        Ok(Self { sessions, node: options.node, state })
    }

    pub(in crate::store) const fn state(&self) -> State {
        self.state
    }

    /// Begins to fill it. Nothing of that is there before [`Moving::end_copy`].
    pub(in crate::store) fn begin_copy(&mut self) -> Result<(), StorageError> {
        let stale = match self.state {
            State::Copying => "DROP SCHEMA waxwing CASCADE; ",
            _ => "",
        };
        let tables = opening::tables("copying");
        self.begin(&format!("BEGIN; {SETTINGS}; {stale}{tables}"))
    }

    /// What was written is there from now on, and no server uses it yet.
    pub(in crate::store) fn end_copy(&mut self) -> Result<(), StorageError> {
        self.go_on("COMMIT").map(drop)
    }

    /// Whoever finds it from now on may use it.
    pub(in crate::store) fn open(&mut self, epoch: Epoch) -> Result<(), StorageError> {
        let epoch = ids::epoch(epoch);
        self.begin(&format!(
            "BEGIN; {SETTINGS}; \
             UPDATE waxwing.lease SET epoch = greatest(epoch, {epoch}) \
                WHERE (SELECT state FROM waxwing.about) = 'copying'; \
             UPDATE waxwing.about SET state = 'open' WHERE state = 'copying'; COMMIT"
        ))
    }

    /// Begins to read it, and keeps servers from it until [`Moving::move_away`].
    pub(in crate::store) fn begin_move(&mut self) -> Result<(), StorageError> {
        let node = ids::hex(&ids::node(self.node));
        let holder = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; {SETTINGS}; \
             SELECT FROM waxwing.lease FOR UPDATE NOWAIT; \
             SELECT node IS NULL OR node = {node} FROM waxwing.lease"
        );
        let rows = self.sessions.simple(&holder);
        let rows = rows.map_err(|error| self.failed(error))?;
        if is_true(rows.last()) {
            return Ok(());
        }
        let why = "another server has the lease of the database. Stop all servers that use it; if the machine \
                   of that one is lost, start a server here, and stop it when it serves";
        Err(StorageError::Misplaced(why.into()))
    }

    /// No server uses it any more.
    pub(in crate::store) fn move_away(&mut self) -> Result<(), StorageError> {
        let move_away = "UPDATE waxwing.about SET state = 'moved'; \
            UPDATE waxwing.lease SET epoch = epoch + 1, node = NULL, instance = NULL; COMMIT";
        self.go_on(move_away).map(drop)
    }

    /// Everything that is there.
    pub(in crate::store) fn sum(&mut self) -> Result<Sum, StorageError> {
        self.begin_to_look()?;
        let sum = moving::sum(self)?;
        self.end_look()?;
        Ok(sum)
    }

    /// Begins to read what is there at this moment. Servers may use it meanwhile.
    pub(in crate::store) fn begin_to_look(&mut self) -> Result<(), StorageError> {
        self.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    pub(in crate::store) fn end_look(&mut self) -> Result<(), StorageError> {
        self.go_on("COMMIT").map(drop)
    }

    /// Bytes of its tables, while it is looked at.
    pub(in crate::store) fn size(&mut self) -> Result<u64, StorageError> {
        const SIZE: &str = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class \
            WHERE relnamespace = 'waxwing'::regnamespace AND relkind = 'r'";
        let rows = self.go_on(SIZE)?;
        let size = rows.last().and_then(|row| row.first()?.as_ref()?.parse().ok());
        size.ok_or_else(|| {
            StorageError::Damaged("the database does not say how large it is".into())
        })
    }

    fn begin(&mut self, statements: &str) -> Result<(), StorageError> {
        let begun = self.sessions.simple(statements);
        begun.map(drop).map_err(|error| self.failed(error))
    }

    /// In the transaction that was begun.
    fn go_on(&mut self, statements: &str) -> Result<Vec<Texts>, StorageError> {
        let sent = async |client: &Client| client.simple_query(statements).await;
        let messages = self.sessions.go_on(sent).map_err(|error| self.failed(error))?;
        Ok(session::rows(&messages))
    }

    fn failed(&self, error: ApplyError) -> StorageError {
        failed(self.sessions.names(), error)
    }
}

fn is_true(row: Option<&Texts>) -> bool {
    row.and_then(|row| row.first()).is_some_and(|column| column.as_deref() == Some("t"))
}

fn failed(names: &Names, error: ApplyError) -> StorageError {
    match error {
        // lock_not_available, serialization_failure
        ApplyError::Away(why) if why.starts_with("55P03") || why.starts_with("40001") => {
            let why = "a server uses the database: stop all of them, and repeat the command";
            StorageError::Misplaced(why.into())
        }
        ApplyError::Unclear(why) => StorageError::Away(
            format!("{why}; repeat the command, which goes on from there").into(),
        ),
        ApplyError::Refused(why) => {
            StorageError::Damaged(format!("a row that was read makes no sense: {why}").into())
        }
        other => opening::closed(names, other),
    }
}

impl Side for Moving {
    fn read(
        &mut self,
        table: &'static Table,
        take: &mut dyn FnMut(Row) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let (names, name, order) = (table.names(), table.name, table.order);
        self.go_on(&format!(
            "DECLARE all_rows NO SCROLL CURSOR FOR SELECT {names} FROM waxwing.{name} ORDER BY {order}"
        ))?;
        loop {
            let fetch = async |client: &Client| client.query_typed(FETCH, &[]).await;
            let rows = self.sessions.go_on(fetch).map_err(|error| self.failed(error))?;
            if rows.is_empty() {
                return self.go_on("CLOSE all_rows").map(drop);
            }
            for row in &rows {
                let values = table.columns.iter().enumerate();
                let values = values.map(|(at, (_, kind))| value(row, at, *kind));
                let values = values.collect::<Result<_, _>>().map_err(|error| {
                    StorageError::Damaged(format!("a row of {name} cannot be read: {error}").into())
                })?;
                take(values)?;
            }
        }
    }

    fn last_place(&mut self) -> Result<i64, StorageError> {
        let rows = self.go_on("SELECT max(last_queue_id) FROM waxwing.marks")?;
        let place = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        place.ok_or_else(|| opening::not_whole("the table waxwing.marks has no row"))
    }
}

fn value(row: &Found, at: usize, kind: Kind) -> Result<Value, Error> {
    let number = |number: i64| Value::Number(number);
    let value = match kind {
        Kind::Short => row.try_get::<_, Option<i32>>(at)?.map(i64::from).map(number),
        Kind::Long => row.try_get::<_, Option<i64>>(at)?.map(number),
        Kind::Flag => row.try_get::<_, Option<bool>>(at)?.map(i64::from).map(number),
        Kind::Text => row.try_get::<_, Option<String>>(at)?.map(Value::Text),
        Kind::Bytes => row.try_get::<_, Option<Vec<u8>>>(at)?.map(Value::Bytes),
    };
    Ok(value.unwrap_or(Value::Nothing))
}

impl Target for Moving {
    fn write(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), StorageError> {
        let columns: Vec<_> = table
            .columns
            .iter()
            .enumerate()
            .map(|(at, (_, kind))| column(&rows, at, *kind))
            .collect();
        let given: Vec<_> =
            columns.iter().map(|(column, kind)| (&**column as _, kind.clone())).collect();
        let marks: Vec<_> = (1..=columns.len()).map(|number| format!("${number}")).collect();
        let (name, names, marks) = (table.name, table.names(), marks.join(", "));
        let insert = format!("INSERT INTO waxwing.{name} ({names}) SELECT * FROM unnest({marks})");
        let write = async |client: &Client| client.query_typed(&insert, &given).await;
        let written = self.sessions.go_on(write).map(drop);
        written.map_err(|error| self.failed(error))
    }

    fn set_last_place(&mut self, place: i64) -> Result<(), StorageError> {
        self.go_on(&format!("UPDATE waxwing.marks SET last_queue_id = {place}")).map(drop)
    }
}

/// What all rows have in a column.
fn column(rows: &[Row], at: usize, kind: Kind) -> (Box<dyn ToSql + Sync>, Type) {
    let values = || rows.iter().map(|row| row.get(at).unwrap_or(&Value::Nothing));
    let numbers = || {
        values().map(|value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        })
    };
    match kind {
        Kind::Short => {
            let numbers = numbers().map(|number| i32::try_from(number?).ok());
            (Box::new(numbers.collect::<Vec<_>>()), Type::INT4_ARRAY)
        }
        Kind::Long => (Box::new(numbers().collect::<Vec<_>>()), Type::INT8_ARRAY),
        Kind::Flag => {
            let flags = numbers().map(|number| Some(number? == 1));
            (Box::new(flags.collect::<Vec<_>>()), Type::BOOL_ARRAY)
        }
        Kind::Text => {
            let texts = values().map(|value| match value {
                Value::Text(text) => Some(text.clone()),
                _ => None,
            });
            (Box::new(texts.collect::<Vec<_>>()), Type::TEXT_ARRAY)
        }
        Kind::Bytes => {
            let bytes = values().map(|value| match value {
                Value::Bytes(bytes) => Some(bytes.clone()),
                _ => None,
            });
            (Box::new(bytes.collect::<Vec<_>>()), Type::BYTEA_ARRAY)
        }
    }
}
