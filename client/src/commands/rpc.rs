//! `waxwing rpc`.

use super::{Console, Place, host};
use crate::args::Rpc;
use crate::courier::Surroundings;
use crate::exit::Failure;
use crate::rpc::{self, Options};

pub(super) fn run(place: &Place<'_>, args: &Rpc, console: &mut Console<'_>) -> Result<(), Failure> {
    if args.schema {
        writeln!(console.output, "{}", rpc::schema())?;
        return Ok(());
    }
    let options = Options {
        dir: place.dir.clone(),
        country: place.country.cloned(),
        receipts: place.settings.receipts,
        allow_trust: args.allow_trust,
        surroundings: Surroundings {
            host: host::telling,
            words: host::words,
            kept: place.settings.retention,
        },
    };
    match &args.socket {
        Some(path) => rpc::serve_socket(options, path),
        None => rpc::serve_stdio(options),
    }
}
