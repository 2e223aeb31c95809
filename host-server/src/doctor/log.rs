//! The log of the server that runs.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{Finding, Place};
use crate::admin::commands::status::LogTrouble;

pub(super) fn look(place: &Place<'_>) -> Finding {
    let Some(status) = place.status() else {
        return Finding::skipped(
            "no server answers, which knows it; the check `configuration` looks at log.file",
        );
    };
    let log = status.log_trouble();
    let is_gone = log.file.is_some_and(is_gone);
    judge(&log, is_gone)
}

/// Somebody has deleted or moved it. What this user cannot see may be there.
fn is_gone(file: &str) -> bool {
    matches!(fs::symlink_metadata(Path::new(file)), Err(error) if error.kind() == ErrorKind::NotFound)
}

fn judge(log: &LogTrouble<'_>, is_gone: bool) -> Finding {
    const REOPEN: &str = "put it right, then run `waxwing-server log reopen`";
    let LogTrouble { file, lost_lines, why, not_reopened, ref ago } = *log;
    let place = file.unwrap_or("standard error");
    if let Some(why) = why {
        let found = match file {
            Some(file) => format!("lines are lost, because {file} cannot be written: {why}{ago}"),
            None => {
                format!(
                    "the log goes to standard error, because its file cannot be opened: {why}{ago}"
                )
            }
        };
        return Finding::fail(found, REOPEN);
    }
    if let Some(why) = not_reopened {
        let found = format!(
            "the log goes to the file that was opened before, wherever that is now, because {place} cannot be \
             opened again: {why}{ago}"
        );
        return Finding::fail(found, REOPEN);
    }
    if is_gone {
        return Finding::fail(
            format!("{place} is not there any more: nobody can find what the server writes"),
            "`waxwing-server log reopen` makes it again; let whatever has moved it do that, too",
        );
    }
    if lost_lines > 0 {
        return Finding::warn(
            format!("{lost_lines} lines of the log were lost since the start of the server"),
            "see whether the disk is slow or was full",
        );
    }
    Finding::ok(format!("it goes to {place}, and no line was lost"))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Fail, Ok, Warn};
    use super::*;

    #[test]
    fn a_log_that_loses_lines_is_told_of_and_one_that_goes_nowhere_fails() {
        let file = Some("/log/waxwing.log");
        let log = |lost_lines, why| LogTrouble {
            file,
            lost_lines,
            why,
            not_reopened: None,
            ago: " (seen 6 s ago)".into(),
        };
        assert_eq!(judge(&log(0, None), false).verdict, Ok);
        assert_eq!(judge(&log(3, None), false).verdict, Warn);
        assert_eq!(judge(&log(3, None), true).verdict, Fail);
        let full = judge(&log(3, Some("No space left on device")), false);
        assert_eq!(full.verdict, Fail);
        assert!(
            full.found.ends_with("cannot be written: No space left on device (seen 6 s ago)"),
            "{}",
            full.found
        );
        let gone = LogTrouble { file: None, ..log(0, Some("log.file: /log: there is none")) };
        let gone = judge(&gone, false);
        assert_eq!(gone.verdict, Fail);
        assert!(gone.found.starts_with("the log goes to standard error, because"), "{gone:?}");
        let moved = LogTrouble { not_reopened: Some("closed"), ..log(0, None) };
        let moved = judge(&moved, false);
        assert_eq!(moved.verdict, Fail);
        assert!(moved.found.contains("cannot be opened again: closed (seen"), "{moved:?}");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("log");
        assert!(is_gone(file.to_str().unwrap()));
        fs::write(&file, "").unwrap();
        assert!(!is_gone(file.to_str().unwrap()));
    }
}
