//! Whether a server is well.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::reports::{Loop, Reports};
use crate::runtime::Late;

/// Whether a server is well, and if not, what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Health {
    /// Whether it is.
    pub healthy: bool,
    /// What is wrong, or that nothing is: a sentence.
    pub message: String,
}

/// A write that waits for so long is one that storage does not take.
const STUCK: Duration = Duration::from_secs(10);

impl Health {
    /// Whether all loops answer.
    #[must_use]
    pub fn alive(loops: &[Loop]) -> Self {
        match hanging(loops) {
            None => Self { healthy: true, message: "every event loop answers".into() },
            Some(message) => Self { healthy: false, message },
        }
    }

    /// Whether all loops answer, storage takes what is written, there is disk space for letters that wait,
    /// and sessions are not sent away.
    #[must_use]
    pub fn ready(loops: &[Loop], commits_fail: bool, is_drained: bool) -> Self {
        let drained =
            is_drained.then(|| "the server sends all sessions away, and then stops".into());
        let problems = [hanging(loops), storage(loops, commits_fail), disk(loops), drained];
        let problems: Vec<_> = problems.into_iter().flatten().collect();
        if problems.is_empty() {
            let message = "every event loop answers, and storage takes what is written";
            return Self { healthy: true, message: message.into() };
        }
        Self { healthy: false, message: problems.join("; ") }
    }
}

fn hanging(loops: &[Loop]) -> Option<String> {
    let hanging = (0..).zip(loops).filter(|(_, one)| !one.answers).map(|(number, _)| number);
    Late::new(hanging, Reports::PATIENCE).some().map(ToString::to_string)
}

fn storage(loops: &[Loop], commits_fail: bool) -> Option<String> {
    let reports = || loops.iter().filter(|one| one.answers).filter_map(|one| one.last);
    if commits_fail || reports().any(|report| report.machine.storage_is_in_trouble) {
        let message = "storage has not taken the last write, and is asked again each second";
        return Some(message.into());
    }
    let oldest = reports().filter_map(|report| report.machine.oldest_unsettled).max()?;
    let seconds = oldest.as_secs();
    (oldest >= STUCK)
        .then(|| format!("storage has not taken a write that waits for {seconds} seconds"))
}

fn disk(loops: &[Loop]) -> Option<String> {
    let mut reports = loops.iter().filter(|one| one.answers).filter_map(|one| one.last);
    reports.any(|report| report.disk_is_low).then(|| {
        "less disk space is free than storage.min_free_disk, so letters for absent recipients are refused"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use waxwing_core::server::Report;

    use super::*;
    use crate::runtime::ShardReport;

    fn answering(machine: Report) -> Loop {
        Loop { answers: true, last: Some(ShardReport { machine, ..ShardReport::default() }) }
    }

    fn message(health: Health) -> Result<(), String> {
        if health.healthy { Ok(()) } else { Err(health.message) }
    }

    #[test]
    fn a_loop_that_hangs_is_named() {
        let well = answering(Report::default());
        let hangs = Loop { answers: false, ..well };
        assert_eq!(message(Health::ready(&[well, well], false, false)), Ok(()));
        let why = "the server sends all sessions away, and then stops";
        assert_eq!(message(Health::ready(&[well, well], false, true)), Err(why.into()));
        for health in [Health::alive(&[well, hangs]), Health::ready(&[well, hangs], false, false)] {
            let why = "event loop 1 does not answer within 1.5 seconds";
            assert_eq!(message(health), Err(why.into()));
        }
        let why = "the event loops 0, 2 do not answer within 1.5 seconds";
        assert_eq!(message(Health::alive(&[hangs, well, hangs])), Err(why.into()));
    }

    #[test]
    fn storage_that_takes_no_writes_makes_a_server_that_is_alive_and_not_ready() {
        let well = answering(Report::default());
        let trouble = answering(Report { storage_is_in_trouble: true, ..Report::default() });
        let waits = |age| answering(Report { oldest_unsettled: Some(age), ..Report::default() });
        for (loops, why) in [
            (
                [well, trouble],
                "storage has not taken the last write, and is asked again each second",
            ),
            ([waits(STUCK), well], "storage has not taken a write that waits for 10 seconds"),
        ] {
            assert_eq!(message(Health::alive(&loops)), Ok(()));
            assert_eq!(message(Health::ready(&loops, false, false)), Err(why.into()));
        }
        assert_eq!(
            message(Health::ready(&[waits(STUCK - Duration::from_millis(1))], false, false)),
            Ok(())
        );
        // Nobody may have written anything meanwhile.
        assert!(!Health::ready(&[well, well], true, false).healthy);
        let mut full = well;
        full.last = full.last.map(|report| ShardReport { disk_is_low: true, ..report });
        let why = message(Health::ready(&[well, full], false, false)).unwrap_err();
        assert!(why.starts_with("less disk space is free than storage.min_free_disk"), "{why}");
        assert_eq!(message(Health::alive(&[full])), Ok(()));
        // What a loop said before it hung is not what storage does now.
        let hangs = Loop { answers: false, ..trouble };
        assert!(!Health::ready(&[hangs], false, false).message.contains("storage"));
    }
}
