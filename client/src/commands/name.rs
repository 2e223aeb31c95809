//! `waxwing name`.

use serde::Serialize;

use super::{Console, Place, json_line};
use crate::args::Naming;
use crate::exit::Failure;
use crate::home;
use crate::show;

#[derive(Serialize)]
struct Line<'a> {
    phone: &'a str,
    name: Option<&'a str>,
}

pub(super) fn run(
    place: &Place<'_>,
    naming: &Naming,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, identity) = place.open()?;
    let phone = place.find_other((&home, &identity), &naming.who, console)?;
    let phone_text = phone.as_str();
    if let Some(name) = &naming.name
        && let home::Naming::Taken { by, name } = home.conversations().set_name(&phone, name)?
    {
        return Err(Failure::Usage(format!(
            "this name is that of {}, or looks like it: {}; choose another",
            by.as_str(),
            show::for_line(&name)
        )));
    }
    let had_name = naming.remove && home.conversations().remove_name(&phone)?;
    if naming.json {
        let name = naming.name.as_ref().map(|name| name.as_str());
        return json_line(&Line { phone: phone_text, name }, console);
    }
    let words = match &naming.name {
        Some(name) => format!("is {}", show::for_line(name.as_str())),
        None if had_name => "has no name any more".to_owned(),
        None => "had no name".to_owned(),
    };
    writeln!(console.output, "{phone_text} {words}")?;
    Ok(())
}
