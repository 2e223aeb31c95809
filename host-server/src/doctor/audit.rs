//! The audit log.

use super::{Finding, Place, another_user};
use crate::admin::audit::AuditLog;
use crate::data_dir::DataDir;

pub(super) fn look(place: &Place<'_>) -> Finding {
    let config = place.config;
    // A server that runs knows whether it could write the last line.
    if let Some(status) = place.status() {
        return judge(status.audit_problem());
    }
    if let Some(skipped) = another_user(config) {
        return skipped;
    }
    let checked =
        DataDir::existing(&config.server.data).and_then(|data| AuditLog::of(&data).check());
    judge(checked.err().map(|failure| failure.to_string()).as_deref())
}

fn judge(problem: Option<&str>) -> Finding {
    match problem {
        None => Finding::ok("what operators do can be noted"),
        Some(problem) => Finding::fail(
            format!("what operators do cannot be noted: {problem}"),
            "make room, or put right what it says: until then, commands that change something are refused",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn an_audit_log_that_cannot_be_written_is_told_of() {
        assert_eq!(judge(None).verdict, Verdict::Ok);
        let full = judge(Some("/data/audit.jsonl: No space left on device"));
        assert_eq!(full.verdict, Verdict::Fail);
        assert!(full.found.ends_with("audit.jsonl: No space left on device"), "{full:?}");
    }
}
