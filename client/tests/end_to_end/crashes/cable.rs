//! The way from a server to its database. It can be cut, and can lead to another database.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use tempfile::TempDir;

pub(super) struct Cable {
    directory: TempDir,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    is_mended: Condvar,
}

struct State {
    /// The socket of the database.
    database: PathBuf,
    is_cut: bool,
}

impl Cable {
    pub(super) fn to(database: PathBuf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
        let state = Mutex::new(State { database, is_cut: false });
        let shared = Arc::new(Shared { state, is_mended: Condvar::new() });
        let lent = shared.clone();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let database = lent.state.lock().unwrap().database.clone();
                let Ok(far) = UnixStream::connect(database) else { continue };
                let ends = [near.try_clone().unwrap(), far.try_clone().unwrap()];
                for [from, to] in [ends, [far, near]] {
                    let lent = lent.clone();
                    thread::spawn(move || lent.carry(from, to));
                }
            }
        });
        Self { directory, shared }
    }

    /// How a configuration names the database with this name.
    pub(super) fn url(&self, database: &str) -> String {
        let host = self.directory.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://waxwing@{host}/{database}")
    }

    /// New connections lead there.
    pub(super) fn lead_to(&self, database: PathBuf) {
        self.shared.state.lock().unwrap().database = database;
    }

    /// Nothing gets through, and nobody is told.
    pub(super) fn cut(&self) {
        self.shared.state.lock().unwrap().is_cut = true;
    }

    /// What was under way arrives, late.
    pub(super) fn mend(&self) {
        self.shared.state.lock().unwrap().is_cut = false;
        self.shared.is_mended.notify_all();
    }
}

impl Shared {
    fn carry(&self, mut from: UnixStream, mut to: UnixStream) {
        let mut bytes = [0; 16 * 1024];
        loop {
            let count = from.read(&mut bytes).unwrap_or(0);
            let state = self.state.lock().unwrap();
            drop(self.is_mended.wait_while(state, |state| state.is_cut).unwrap());
            if count == 0 || to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        // The other direction ends with it.
        for end in [from, to] {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}
