//! Codes on their way to phones: a program that notes them in a file.

use std::fs;
use std::path::PathBuf;

use crate::process::eventually;
use crate::test_server::TestServer;

/// A server whose one-time passwords go to a program, which notes them in a file.
pub(crate) fn server_and_sent_codes(more: &[(&str, &str)]) -> (TestServer, SentCodes) {
    let root = tempfile::tempdir().unwrap();
    let (script, noted) = (root.path().join("note.sh"), root.path().join("codes"));
    fs::write(&script, format!("cat >> '{}'\n", noted.display())).unwrap();
    let script = script.to_str().unwrap().to_owned();
    let delivery = [
        ("otp.delivery", "exec"),
        ("otp.exec.program", "/bin/sh"),
        ("otp.exec.args", script.as_str()),
    ];
    (TestServer::in_directory(root, &[&delivery, more].concat()), SentCodes { noted })
}

pub(crate) struct SentCodes {
    noted: PathBuf,
}

impl SentCodes {
    /// The latest of `count` codes that were sent to `phone`.
    pub(crate) fn code(&self, phone: &str, count: usize) -> String {
        eventually("a code that was sent", || self.codes(phone).into_iter().nth(count - 1))
    }

    /// All that were sent to `phone` so far.
    pub(crate) fn codes(&self, phone: &str) -> Vec<String> {
        let noted = fs::read_to_string(&self.noted).unwrap_or_default();
        let whole: Vec<_> = noted.split_inclusive('\n').collect();
        let pairs = whole.as_chunks::<2>().0.iter();
        let codes = pairs.filter(|pair| pair[0].trim() == phone).map(|pair| pair[1]);
        let whole = codes.take_while(|code| code.ends_with('\n'));
        whole.map(|code| code.trim().to_owned()).collect()
    }
}
