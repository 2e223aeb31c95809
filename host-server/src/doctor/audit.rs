//! The audit log.

use super::{Finding, Place, another_user};
use crate::admin::audit::{AuditLog, Verified};
use crate::data_dir::DataDir;
use crate::exit::Failure;

pub(super) fn look(place: &Place<'_>) -> Finding {
    let config = place.config;
    // A server that runs knows whether it could write the last line.
    let told = place.status().map(|status| status.audit_problem().map(str::to_owned));
    if let Some(another) = another_user(config) {
        // What was noted is closed to whoever asks.
        return match told {
            Some(Some(problem)) => judge(Some(&problem), None),
            Some(None) | None => another,
        };
    }
    let log = match DataDir::existing(&config.server.data) {
        Ok(data) => AuditLog::of(&data),
        Err(failure) => return judge(Some(&failure.to_string()), None),
    };
    let problem = told.unwrap_or_else(|| log.check().err().map(|failure| failure.to_string()));
    judge(problem.as_deref(), wrong_with(log.verify()))
}

/// What is wrong with what was noted.
fn wrong_with(verified: Result<Verified, Failure>) -> Option<String> {
    match verified {
        Ok(verified) => verified.wrong(),
        Err(failure) => Some(format!(
            "whether the lines of the audit log follow one another cannot be said: {failure}"
        )),
    }
}

/// With why nothing can be noted, and what is wrong with what was noted before.
fn judge(problem: Option<&str>, wrong: Option<String>) -> Finding {
    match (problem, wrong) {
        (Some(problem), _) => Finding::fail(
            format!("what operators do cannot be noted: {problem}"),
            "make room, or put right what it says: until then, commands that change something are refused",
        ),
        (None, Some(wrong)) => Finding::fail(wrong, "`waxwing-server audit verify` says more"),
        (None, None) => {
            Finding::ok("what operators do can be noted, and the lines follow one another")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn an_audit_log_that_cannot_be_written_is_told_of() {
        assert_eq!(judge(None, None).verdict, Verdict::Ok);
        let cut = judge(None, Some("the log ends before it".into()));
        assert_eq!(cut.verdict, Verdict::Fail);
        let full = judge(Some("/data/audit.jsonl: No space left on device"), None);
        assert_eq!(full.verdict, Verdict::Fail);
        assert!(full.found.ends_with("audit.jsonl: No space left on device"), "{full:?}");
        let unread = Failure::new(Exit::Storage, "/data/audit.jsonl.1: Input/output error");
        let unread = judge(None, wrong_with(Err(unread)));
        assert_eq!(unread.verdict, Verdict::Fail);
        assert!(unread.found.ends_with("audit.jsonl.1: Input/output error"), "{unread:?}");
    }
}
