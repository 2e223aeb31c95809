//! A person's own editor.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::home::Writing;
use crate::system;

/// Lets the person edit a text in a file of the home, which nobody else can read.
pub(super) fn edit(dir: &Path, text: &str) -> Result<String, String> {
    let path = |at| dir.join(format!("editing-{}-{at}.txt", std::process::id()));
    let path = (0..).map(path).find(|path| !path.exists()).unwrap_or_else(|| path(0));
    match edit_file(&path, text).map(|()| read(&path)) {
        Ok(Err(_)) if !path.exists() => {
            Err("the editor has left no text; what you had begun is as it was".to_owned())
        }
        // Nobody has to write it once more.
        Ok(Err(why)) => Err(format!("{why}. It is still in {}", path.display())),
        Ok(edited) => {
            // It has words in it that are nobody's business.
            let _ = fs::remove_file(&path);
            edited
        }
        Err(why) => {
            let _ = fs::remove_file(&path);
            Err(why)
        }
    }
}

fn edit_file(path: &Path, text: &str) -> Result<(), String> {
    let failed =
        |error| format!("{} cannot be written: {}", path.display(), system::of_file(&error));
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
        .map_err(|error| {
            let why = system::of_program("sh".as_ref(), &error);
            format!("the editor {editor} cannot be started: {why}")
        })?;
    // The shell has not found it.
    if ended.code() == Some(127) {
        return Err(format!(
            "there is no editor {editor} on this machine; let EDITOR name one. Nothing was changed"
        ));
    }
    if !ended.success() {
        return Err(format!("the editor {editor} has failed ({ended}); nothing was changed"));
    }
    Ok(())
}

/// What the editor has left.
fn read(path: &Path) -> Result<String, String> {
    let most = Writing::LONGEST as u64;
    let mut edited = String::new();
    fs::File::open(path)
        // An editor ends the last line, and that is not part of the letter.
        .and_then(|file| file.take(most + 2).read_to_string(&mut edited))
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidData => "what you have written is not text in UTF-8".to_owned(),
            _ => format!("what you have written cannot be read: {}", system::of_file(&error)),
        })?;
    if edited.trim_end_matches('\n').len() as u64 > most {
        return Err(format!("what you have written is longer than the {most} bytes of a letter"));
    }
    Ok(edited)
}
