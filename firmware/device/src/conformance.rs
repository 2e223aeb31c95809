//! Runs every known answer on the target, and ends with success if all of them are right.

use core::fmt::{self, Write};
use core::mem::MaybeUninit;

use static_cell::ConstStaticCell;
use waxwing_core::crypto::{RustCrypto, RustCryptoKey, conformance};

use crate::board::{Board, Outcome};
use crate::{entropy, heap};

/// For more keys than a device has.
const HEAP: usize = 24 * 1_024;

static HEAP_MEMORY: ConstStaticCell<[MaybeUninit<u8>; HEAP]> =
    ConstStaticCell::new([MaybeUninit::uninit(); HEAP]);

/// The program. Call it once.
pub fn run(board: &'static dyn Board) -> ! {
    heap::start(HEAP_MEMORY.take());
    let Some(mut rng) = entropy::generator(board) else { board.fail("no randomness") };
    let summary = conformance::run(
        &RustCrypto,
        RustCryptoKey::from_pkcs8_der,
        &mut rng,
        &mut conformance::lines(&mut Console(board)),
    );
    let _ = writeln!(Console(board), "{summary}");
    board.exit(if summary.passed() { Outcome::Success } else { Outcome::Failure })
}

/// The console for `core::fmt`.
struct Console(&'static dyn Board);

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.print(text);
        Ok(())
    }
}
