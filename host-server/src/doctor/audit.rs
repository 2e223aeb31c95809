//! The audit log.

use super::{Finding, Place, another_user};
use crate::admin::audit::AuditLog;
use crate::data_dir::DataDir;

pub(super) fn look(place: &Place<'_>) -> Finding {
    let config = place.config;
    // A server that runs knows whether it could write the last line.
    let told = place.status().map(|status| status.audit_problem().map(str::to_owned));
    let another = another_user(config);
    if let (None, Some(skipped)) = (&told, another.as_ref()) {
        return skipped.clone();
    }
    let log = DataDir::existing(&config.server.data).map(|data| AuditLog::of(&data));
    let log = match log {
        Ok(log) => log,
        Err(failure) => return judge(Some(&failure.to_string()), None),
    };
    let problem = told.unwrap_or_else(|| log.check().err().map(|failure| failure.to_string()));
    // Whoever may not read it learns the rest from the server.
    let verified = log.verify().ok().filter(|_| another.is_none());
    judge(problem.as_deref(), verified.and_then(|verified| verified.wrong()))
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

    #[test]
    fn an_audit_log_that_cannot_be_written_is_told_of() {
        assert_eq!(judge(None, None).verdict, Verdict::Ok);
        let cut = judge(None, Some("the log ends before it".into()));
        assert_eq!(cut.verdict, Verdict::Fail);
        let full = judge(Some("/data/audit.jsonl: No space left on device"), None);
        assert_eq!(full.verdict, Verdict::Fail);
        assert!(full.found.ends_with("audit.jsonl: No space left on device"), "{full:?}");
    }
}
