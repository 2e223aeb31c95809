//! A person's own editor.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;

/// More than any letter has.
const LONGEST: u64 = 64 * 1_024;

/// Lets the person edit a text in a file of the home, which nobody else can read.
pub(super) fn edit(dir: &Path, text: &str) -> Result<String, String> {
    let path = dir.join(format!("editing-{}.txt", std::process::id()));
    let edited = edit_file(&path, text);
    // It has words in it that are nobody's business.
    let _ = fs::remove_file(&path);
    edited
}

fn edit_file(path: &Path, text: &str) -> Result<String, String> {
    let failed = |error| format!("{}: {error}", path.display());
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    drop(file);
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| env::var(name).ok());
    let editor = editor.filter(|editor| !editor.trim().is_empty()).unwrap_or_else(|| "vi".into());
    let ended = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "waxwing"])
        .arg(path)
        .status()
        .map_err(|error| format!("the editor {editor} cannot be started: {error}"))?;
    if !ended.success() {
        return Err(format!("the editor {editor} has failed ({ended}); nothing was changed"));
    }
    let mut edited = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(LONGEST + 1)
        .read_to_string(&mut edited)
        .map_err(|error| format!("what the editor has left cannot be read: {error}"))?;
    if edited.len() as u64 > LONGEST {
        return Err("what the editor has left is too long for a letter; nothing was changed".into());
    }
    Ok(edited)
}
