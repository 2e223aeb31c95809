//! Connections to the database, and what its answers mean.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::tls::{NoTls, TlsStream};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::{Names, Place};
use super::{safety, tls};
use crate::store::ApplyError;

/// How long a step of something that is under way takes at most.
const STEP: Duration = Duration::from_millis(10);

/// Something that goes on beside the storage thread's other work, on a connection of its own.
type UnderWay = Pin<Box<dyn Future<Output = Result<(Session, Vec<Row>), ApplyError>> + Send>>;

/// A row of a simple query: its columns as text.
pub(super) type Row = Vec<Option<String>>;

/// The way to the database. Only the storage thread runs what is in here.
pub(super) struct Sessions {
    runtime: Runtime,
    way: Way,
    timeout: Duration,
    /// How long somebody may have the row of the lease and do nothing.
    patience: Duration,
    session: Option<Session>,
    under_way: Option<UnderWay>,
}

/// How a connection is made.
#[derive(Clone)]
struct Way {
    /// They are tried in turn.
    hosts: Vec<Config>,
    /// `None`: nothing leaves the machine.
    tls: Option<MakeRustlsConnect>,
    names: Names,
}

struct Session {
    client: Client,
    /// The database has sent a warning.
    is_warned: Arc<AtomicBool>,
}

impl Sessions {
    /// Nothing is connected yet.
    pub(super) fn new(
        place: &Place,
        password: Option<&[u8]>,
        timeout: Duration,
        lease: Duration,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let tls = place.root_certificates.as_deref().map(tls::connector).transpose()?;
        let mut hosts = place.hosts.clone();
        for host in &mut hosts {
            password.map(|password| host.password(password));
        }
        let way = Way { hosts, tls, names: place.names() };
        let patience = lease / 2;
        Ok(Self { runtime, way, timeout, patience, session: None, under_way: None })
    }

    /// What an error calls the database.
    pub(super) const fn names(&self) -> &Names {
        &self.way.names
    }

    /// What begins a transaction that locks the row of the lease.
    pub(super) fn begin_locked(&self) -> String {
        let patience = self.patience.as_millis().max(1);
        format!(
            "BEGIN; SELECT waxwing.settings_1(), set_config('lock_timeout', '{patience}ms', true), \
             set_config('idle_in_transaction_session_timeout', '2s', true)"
        )
    }

    /// Connects for the first time, which says what is wrong with the settings.
    pub(super) fn begin(&mut self) -> Result<(), NoSession> {
        let Self { runtime, way, timeout: limit, session, .. } = self;
        *session = Some(runtime.block_on(connect(way, *limit))?);
        Ok(())
    }

    /// Does something with the database.
    pub(super) fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, ApplyError> {
        let Self { runtime, way, timeout: limit, session, .. } = self;
        let (outcome, kept) = runtime.block_on(async {
            let session = match session.take().filter(|session| !session.client.is_closed()) {
                Some(session) => session,
                None => match connect(way, *limit).await {
                    Ok(session) => session,
                    Err(error) => return (Err(error.into()), None),
                },
            };
            let answered = timeout(*limit, work(&session.client)).await;
            let outcome = judge(answered.ok(), &session.is_warned);
            // What has failed may have left a transaction behind.
            let kept = outcome.is_ok().then_some(session);
            (outcome, kept)
        });
        self.session = kept;
        outcome
    }

    /// The same, on the connection that is there: what was begun over it goes on.
    pub(super) fn go_on<T>(
        &mut self,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, ApplyError> {
        if self.session.as_ref().is_none_or(|session| session.client.is_closed()) {
            return Err(ApplyError::Away("the connection to the database is gone".into()));
        }
        self.run(work)
    }

    /// As [`Sessions::run`], where nothing is changed: what is unclear has not happened.
    pub(super) fn read<T>(
        &mut self,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, ApplyError> {
        self.run(work).map_err(|error| match error {
            ApplyError::Unclear(why) => ApplyError::Away(why),
            other => other,
        })
    }

    /// As [`Sessions::lock`], on a new connection, unless that is under way; and goes on with it for a few
    /// milliseconds. The new connection takes the place of the old one when it is done.
    pub(super) fn step(
        &mut self,
        statements: impl FnOnce() -> String,
    ) -> Poll<Result<Vec<Row>, ApplyError>> {
        let (way, limit, patience) = (self.way.clone(), self.timeout, self.patience);
        let begin = || -> UnderWay {
            let statements = statements();
            Box::pin(async move {
                let session = connect(&way, limit).await?;
                let answered = timeout(limit, lock(&session.client, &statements, patience)).await;
                let rows = judge(answered.ok(), &session.is_warned)?.rows()?;
                Ok((session, rows))
            })
        };
        let mut under_way = self.under_way.take().unwrap_or_else(begin);
        match self.runtime.block_on(async { timeout(STEP, &mut under_way).await }) {
            Ok(Ok((session, rows))) => {
                self.session = Some(session);
                Poll::Ready(Ok(rows))
            }
            Ok(Err(error)) => Poll::Ready(Err(error)),
            Err(_) => {
                self.under_way = Some(under_way);
                Poll::Pending
            }
        }
    }

    /// Sends statements as one message.
    pub(super) fn simple(&mut self, statements: &str) -> Result<Vec<Row>, ApplyError> {
        let messages = self.run(async |client| client.simple_query(statements).await)?;
        Ok(rows(&messages))
    }

    /// The same where they lock the row of the lease. If somebody has it who does nothing, that one is
    /// ended, so that the next attempt succeeds.
    pub(super) fn lock(&mut self, statements: &str) -> Result<Vec<Row>, ApplyError> {
        let patience = self.patience;
        self.run(async |client| lock(client, statements, patience).await)?.rows()
    }
}

/// What became of statements that lock the row of the lease.
enum Locked {
    Done(Vec<SimpleQueryMessage>),
    /// Somebody has it whose commit waits for the standby.
    AwaitsStandby,
}

impl Locked {
    fn rows(&self) -> Result<Vec<Row>, ApplyError> {
        match self {
            Self::Done(messages) => Ok(rows(messages)),
            Self::AwaitsStandby => Err(ApplyError::AwaitsStandby),
        }
    }
}

/// A group of which the end never came holds the row as long as its connection lives, and no timeout of
/// PostgreSQL ends it.
async fn lock(client: &Client, statements: &str, patience: Duration) -> Result<Locked, Error> {
    let answered = client.simple_query(statements).await;
    let is_locked = |error: &Error| error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
    if answered.as_ref().is_err_and(is_locked) {
        let since = patience.as_millis();
        let free = format!(
            "ROLLBACK; SELECT waxwing.free_lease_1('{since} milliseconds'); {}",
            safety::AWAITS_STANDBY
        );
        let said = rows(&client.simple_query(&free).await?);
        if is_true(said.last()) {
            return Ok(Locked::AwaitsStandby);
        }
    }
    answered.map(Locked::Done)
}

/// Why there is no connection.
pub(super) struct NoSession {
    names: Names,
    /// Each host that was tried, and what it says, or its network. `None`: nothing in time.
    tried: Vec<(String, Option<Error>)>,
}

impl NoSession {
    /// What is wrong, and what to do about it; and whether the settings are.
    pub(super) fn in_words(&self) -> (String, bool) {
        let Some(last) = self.tried.iter().rev().find_map(|(_, error)| error.as_ref()) else {
            let (url, hosts, help) = (self.names.url, self.hosts(), self.look_there());
            return (format!("no host of {url} answers in time: {hosts}; {help}"), false);
        };
        let Some((why, is_settings)) = self.meaning(last) else {
            let help = match last.code() {
                Some(_) => "the log of PostgreSQL there says more".to_owned(),
                None => self.look_there(),
            };
            return (format!("the database cannot be reached: {}; {help}", self.hosts()), false);
        };
        match &*self.tried {
            [_] => (why, is_settings),
            _ => (format!("{why} (tried: {})", self.hosts()), is_settings),
        }
    }

    /// Each of them with its answer.
    fn hosts(&self) -> String {
        let one = |(host, error): &(String, Option<Error>)| match error {
            Some(error) => format!("{host}, {}", whole(error)),
            None => format!("{host}, no answer"),
        };
        self.tried.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// What to do where nobody answers.
    fn look_there(&self) -> String {
        let url = self.names.url;
        format!("see whether PostgreSQL runs there, and whether {url} names its host and port")
    }

    /// What an answer means that has something to do with the settings; or that of a host which does not serve.
    fn meaning(&self, error: &Error) -> Option<(String, bool)> {
        let (why, url) = (whole(error), self.names.url);
        Some(match error.code() {
            Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                let help = format!(
                    "look at the user in {url}, at storage.password_file, and at the database's pg_hba.conf"
                );
                (format!("the database does not let the server in: {why}; {help}"), true)
            }
            Some(&SqlState::INVALID_CATALOG_NAME) => {
                let help = self.names.createdb("");
                let help = format!("make it, owned by the server's role: {help}");
                (format!("the database of {url} is not there: {why}; {help}"), true)
            }
            // Before it is asked for a password, the driver looks whether it has one.
            None if why.contains("password missing") => {
                let help = "write it into a file, and name that in storage.password_file";
                ("the database asks for a password: ".to_owned() + help, true)
            }
            None if why.contains("does not allow writes") => {
                let help = format!(
                    "no host of {url} takes writes: each is a standby, or was made read-only"
                );
                (help, false)
            }
            None if why.contains("certificate") || why.contains("TLS") => {
                let help = format!(
                    "its certificate has to name the host as {url} does, and one in sslrootcert has to vouch \
                     for it"
                );
                (format!("the database does not prove who it is: {why}; {help}"), false)
            }
            _ => return None,
        })
    }
}

impl From<NoSession> for ApplyError {
    fn from(none: NoSession) -> Self {
        Self::Away(none.in_words().0)
    }
}

/// An error with what is behind it.
pub(super) fn whole(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", whole(source)),
        None => error.to_string(),
    }
}

/// Each host gets its part of the time.
async fn connect(way: &Way, limit: Duration) -> Result<Session, NoSession> {
    let part = limit / u32::try_from(way.hosts.len()).unwrap_or(u32::MAX).max(1);
    let mut tried = Vec::new();
    for host in &way.hosts {
        let connected = timeout(part, async {
            let session = match &way.tls {
                Some(tls) => host.connect(tls.clone()).await.map(listen),
                None => host.connect(NoTls).await.map(listen),
            }?;
            session.client.batch_execute(&notices_silence(limit)).await?;
            Ok(session)
        });
        match connected.await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => tried.push((name(host), Some(error))),
            Err(_) => tried.push((name(host), None)),
        }
    }
    Err(NoSession { names: way.names.clone(), tried })
}

/// A host, as the URL names it.
fn name(host: &Config) -> String {
    let port = host.get_ports().first().copied().unwrap_or(5432);
    match host.get_hosts().first() {
        Some(Host::Tcp(name)) => format!("{name}:{port}"),
        Some(Host::Unix(directory)) => format!("{}:{port}", directory.display()),
        None => "localhost".into(),
    }
}

/// Has the end of the database give up a connection over which nothing comes any more. Otherwise what this
/// end has begun there could last for hours.
fn notices_silence(limit: Duration) -> String {
    let seconds = limit.as_secs().max(1);
    let millis = seconds * 1_000;
    format!(
        "SELECT set_config('tcp_keepalives_idle', '{seconds}', false), \
         set_config('tcp_keepalives_interval', '1', false), \
         set_config('tcp_keepalives_count', '3', false), \
         set_config('tcp_user_timeout', '{millis}', false)"
    )
}

/// Hears what comes over a connection, as long as it lives and the runtime runs.
fn listen<S, T>((client, mut connection): (Client, Connection<S, T>)) -> Session
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: TlsStream + Unpin + Send + 'static,
{
    let is_warned = Arc::new(AtomicBool::new(false));
    let heard = is_warned.clone();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message
                && notice.parsed_severity() == Some(Severity::Warning)
            {
                heard.store(true, Ordering::Relaxed);
            }
        }
    });
    Session { client, is_warned }
}

pub(super) fn is_true(row: Option<&Row>) -> bool {
    row.and_then(|row| row.first()).is_some_and(|column| column.as_deref() == Some("t"))
}

pub(super) fn rows(messages: &[SimpleQueryMessage]) -> Vec<Row> {
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// What an answer means, or that there was none. A success is one only without a warning: a wait for the
/// standby that was cancelled is a success with a warning, and on one machine alone.
fn judge<T>(answered: Option<Result<T, Error>>, is_warned: &AtomicBool) -> Result<T, ApplyError> {
    let unclear = |why: &str| ApplyError::Unclear(format!("the database {why}"));
    match answered {
        None => Err(unclear("does not answer")),
        Some(Ok(_)) if is_warned.load(Ordering::Relaxed) => Err(unclear("has warned")),
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => Err(meaning(&error)),
    }
}

fn meaning(error: &Error) -> ApplyError {
    let Some(said) = error.as_db_error() else {
        return ApplyError::Unclear(format!("the connection to the database is broken: {error}"));
    };
    let why = format!("{}: {}", said.code().code(), said.message());
    let is_fatal = matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    match said.code() {
        code if is_fatal || *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => {
            ApplyError::Unclear(why)
        }
        code if code.code() == "WX001" => ApplyError::Fenced(why),
        code if code.code() == "WX002" || code.code().starts_with("23") => ApplyError::Refused(why),
        code if code.code().starts_with("XX") || code.code().starts_with("58") => {
            ApplyError::Corrupt(why)
        }
        // Whoever brings it back brings back another state than the one that the server has in mind.
        code if IS_GONE.contains(code) => ApplyError::Fatal(format!("{why}; {NOT_WHOLE}")),
        _ => ApplyError::Away(why),
    }
}

/// What to do where something is missing that every server has in its database.
pub(super) const NOT_WHOLE: &str =
    "the database is not whole: bring its backup back again, into an empty database";

/// What the database says where a table, a part of one, a function or all of them are missing.
const IS_GONE: [SqlState; 4] = [
    SqlState::UNDEFINED_TABLE,
    SqlState::UNDEFINED_COLUMN,
    SqlState::UNDEFINED_FUNCTION,
    SqlState::INVALID_SCHEMA_NAME,
];
