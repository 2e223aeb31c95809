//! Runs every known answer on the target, and ends with success if all of them are right.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::mem::MaybeUninit;

use cortex_m_rt::entry;
use waxwing_core::crypto::{RustCrypto, RustCryptoKey, conformance};
use waxwing_firmware::host::{self, Console, Outcome};
use waxwing_firmware::{entropy, heap};

#[entry]
fn main() -> ! {
    static mut HEAP: [MaybeUninit<u8>; 24 * 1_024] = [MaybeUninit::uninit(); 24 * 1_024];
    heap::start(HEAP);
    let Some(mut rng) = entropy::generator() else { host::exit(Outcome::Failure) };
    let summary = conformance::run(
        &RustCrypto,
        RustCryptoKey::from_pkcs8_der,
        &mut rng,
        &mut conformance::lines(&mut Console),
    );
    let _ = writeln!(Console, "{summary}");
    host::exit(if summary.passed() { Outcome::Success } else { Outcome::Failure })
}
