//! `waxwing tui`, and `waxwing` without a command.

use std::env;
use std::io::{IsTerminal as _, stdin, stdout};

use super::{Console, Place, host};
use crate::courier::Surroundings;
use crate::exit::Failure;
use crate::settings::Settings;
use crate::tui::desk::{self, Wishes};
use crate::tui::state::Owner;
use crate::tui::theme::Theme;

pub(super) fn run(place: &Place<'_>, console: &mut Console<'_>) -> Result<(), Failure> {
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return Err(Failure::Usage(
            "the full screen needs a terminal for input and output; use `waxwing chat WHO` for a \
             conversation through pipes, or `waxwing send` and `waxwing receive` (`waxwing --help` shows \
             all commands)"
                .into(),
        ));
    }
    if env::var("TERM").is_ok_and(|terminal| terminal == "dumb") {
        return Err(Failure::Usage(
            "this terminal (TERM is dumb) cannot show a full screen; use `waxwing chat WHO`".into(),
        ));
    }
    let (home, identity) = place.open()?;
    let owner = Owner {
        phone: identity.phone,
        country: place.country.cloned(),
        zone: console.zone.clone(),
    };
    let of_environment = || Theme::of_environment(|name| env::var(name).ok());
    let theme = place.settings.theme.unwrap_or_else(of_environment);
    let Settings { receipts, mouse, keys, notify, .. } = place.settings.clone();
    let wishes = Wishes { owner, receipts, mouse, theme, keys, notify };
    let surroundings = Surroundings {
        host: host::telling,
        words: host::words_without_keys,
        kept: place.settings.retention,
    };
    let waiting = desk::run(place.dir.clone(), home, identity, wishes, surroundings)?;
    if waiting > 0 {
        writeln!(
            console.remarks,
            "{waiting} of your letters {} not at the server yet; what is left goes out the next time that \
             waxwing connects",
            if waiting == 1 { "is" } else { "are" },
        )?;
    }
    Ok(())
}
