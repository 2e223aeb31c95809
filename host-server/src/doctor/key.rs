//! The server's key and its published half.

use super::{Finding, another_user};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::key;

pub(super) fn look(config: &Config) -> Finding {
    if let Some(skipped) = another_user(config) {
        return skipped;
    }
    let directory = match DataDir::existing(&config.server.data) {
        Ok(directory) => directory,
        Err(failure) => {
            return Finding::fail("the data directory cannot be used", failure.to_string());
        }
    };
    let own = match key::fingerprint(&directory) {
        Ok(own) => format!("{own:?}"),
        Err(failure) => {
            return Finding::fail("the server's key cannot be used", failure.to_string());
        }
    };
    judge(&own, key::published(&directory).map(|published| format!("{published:?}")).as_deref())
}

fn judge(own: &str, published: Option<&str>) -> Finding {
    match published {
        Some(published) if published == own => Finding::ok(format!("its fingerprint is {own}")),
        Some(published) => Finding::fail(
            format!("the key has the fingerprint {own}, and server.pub.pem {published}"),
            "put the right key back from its copy; see \"The key is lost\" in docs/OPERATING.md",
        ),
        None => Finding::warn(
            "server.pub.pem is missing, or cannot be read",
            "the server writes it again when it starts",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_key_and_its_published_half_have_one_fingerprint() {
        let verdicts =
            [Some("ab"), Some("cd"), None].map(|published| judge("ab", published).verdict);
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Fail, Verdict::Warn]);
    }
}
