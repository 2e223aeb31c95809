//! Letters for which there was no room, while a command goes on: a person is told of the first at once, and of
//! those that follow now and then.

use std::time::{Duration, Instant};

use crate::console::Remarks;
use crate::exit::Failure;
use crate::home::Home;
use crate::show;

/// Until a person is told again.
const UNTIL_TOLD_AGAIN: Duration = Duration::from_hours(1);
/// How often the home is asked.
const LOOK: Duration = Duration::from_secs(1);

/// Tells of them.
#[derive(Debug, Default)]
pub(crate) struct Discarded {
    /// When the home is asked next.
    due: Option<Instant>,
}

impl Discarded {
    /// Tells of them, if it is time for that.
    pub(crate) fn tell(
        &mut self,
        home: &Home,
        now: Instant,
        remarks: &mut Remarks,
    ) -> Result<(), Failure> {
        if self.due.is_none_or(|due| due <= now) {
            let has_told = match tell(home, remarks) {
                // On a full disk it is told later.
                Err(Failure::Storage(_)) => false,
                told => told?,
            };
            self.due = Some(now + if has_told { UNTIL_TOLD_AGAIN } else { LOOK });
        }
        Ok(())
    }
}

/// How many, why, and what to do; whether there were any.
pub(super) fn tell(home: &Home, remarks: &mut Remarks) -> Result<bool, Failure> {
    let discarded = home.letters().take_discarded()?;
    for (quota, letters) in &discarded {
        writeln!(remarks, "{}", show::discarded_text(*quota, *letters))?;
    }
    Ok(!discarded.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use rusqlite::Connection;

    use super::*;

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);

    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Heard {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    #[test]
    fn the_first_are_told_of_at_once_and_a_flood_once_in_an_hour() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("home");
        let home = Home::create(&dir).unwrap();
        let other = Connection::open(dir.join("waxwing.db")).unwrap();
        let discard = || {
            let sql = "INSERT INTO discarded (quota, letters) VALUES ('stranger', 3) \
                       ON CONFLICT DO UPDATE SET letters = letters + 3";
            other.execute(sql, []).unwrap();
        };
        let heard = Heard::default();
        let (mut discarded, start) = (Discarded::default(), Instant::now());
        let mut remarks = Remarks::new(heard.clone());
        let mut tell = |after: u64| {
            let now = start + Duration::from_secs(after);
            discarded.tell(&home, now, &mut remarks).unwrap();
            heard.take()
        };
        assert_eq!(tell(0), "");
        discard();
        assert!(tell(1).starts_with("3 letters were discarded"));
        discard();
        discard();
        assert_eq!(tell(3_600), "");
        assert!(tell(3_601).starts_with("6 letters were discarded"));
        assert_eq!(tell(9_999), "");
    }
}
