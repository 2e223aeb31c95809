//! `waxwing consumers`: programs that get letters by `waxwing rpc`.

use super::ask::YES;
use super::{Console, Place, json_line};
use crate::args::{Consumers, ConsumersAction};
use crate::exit::Failure;
use crate::show::{self, ConsumerLine};

pub(super) fn run(
    place: &Place<'_>,
    words: &Consumers,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    match &words.action {
        None => list(place, words.json, console),
        Some(ConsumersAction::Remove { name, yes }) => {
            remove(place, (name, *yes), words.json, console)
        }
    }
}

fn list(place: &Place<'_>, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, _) = place.open_to_read()?;
    if json {
        return ConsumerLine::all(&home)?.iter().try_for_each(|line| json_line(line, console));
    }
    for consumer in home.consumers().all()? {
        writeln!(console.output, "{}", show::consumer_text(&consumer, &console.page()))?;
    }
    Ok(())
}

fn remove(
    place: &Place<'_>,
    (name, yes): (&str, bool),
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, _) = place.open()?;
    let unknown = || {
        Failure::General(format!(
            "there is no consumer {}; `waxwing consumers` shows those that there are",
            show::for_line(name)
        ))
    };
    let known = home.consumers().all()?.into_iter().find(|one| one.name == name);
    let known = known.ok_or_else(unknown)?;
    if !yes {
        let question = format!(
            "Forget {}? The letters that it is not done with ({}) are not kept for it any more. [y/N] ",
            show::for_line(name),
            known.waiting
        );
        console.make_sure(&YES, &question)?;
    }
    if !home.consumers().remove(name)? {
        return Err(unknown());
    }
    if json {
        return json_line(&serde_json::json!({ "consumer": name, "removed": true }), console);
    }
    writeln!(console.output, "removed: {}", show::for_line(name))?;
    Ok(())
}
