//! The device: registers, talks with one person, and comes back whatever happens to it.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use core::time::Duration;

use cortex_m_rt::entry;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use waxwing_core::client::{Buffers, Keys, Options};
use waxwing_core::crypto::{
    Provider, RustCrypto, RustCryptoKey, RustCryptoPublicKey, SPKI_LEN, Spki,
};
use waxwing_core::id::Uid;
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::wire::Status;
use waxwing_firmware::host::{self, Outcome, say};
use waxwing_firmware::memory::{Memory, Outgoing};
use waxwing_firmware::plan::Plan;
use waxwing_firmware::session::{Machine, Over, Session};
use waxwing_firmware::uart::Uart;
use waxwing_firmware::{clock, entropy, heap, stack};

/// For the `rsa` crate: the device's key, and what computing with it takes.
const HEAP: usize = 16 * 1_024;

/// Between two connections, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The packet buffers.
struct Packets {
    /// The largest letter that it can read has 8 KiB.
    letter: [u8; 8 * 1_024],
    control: [u8; MAX_CONTROL_PACKET],
    /// A letter of its own and a control packet beside it.
    transmit: [u8; 1_024 + MAX_CONTROL_PACKET],
}

impl Packets {
    const EMPTY: Self = Self {
        letter: [0; 8 * 1_024],
        control: [0; MAX_CONTROL_PACKET],
        transmit: [0; 1_024 + MAX_CONTROL_PACKET],
    };
}

#[entry]
fn main() -> ! {
    static mut HEAP_MEMORY: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP];
    static mut PACKETS: Packets = Packets::EMPTY;
    static mut OWN: Option<RustCryptoKey> = None;
    static mut SERVER: Option<RustCryptoPublicKey> = None;
    static mut MEMORY: Option<Memory> = None;
    static mut MACHINE: Option<Machine<'static>> = None;
    stack::paint();
    heap::start(HEAP_MEMORY);
    if let Some(peripherals) = cortex_m::Peripherals::take() {
        clock::start(peripherals.SYST);
    }
    let Packets { letter, control, transmit } = PACKETS;
    let buffers = Buffers::from_arrays(letter, control, transmit);
    let mut line = [0; 256];
    let Some(plan) = Plan::parse(host::command_line(&mut line)) else {
        fail(
            "usage: own=PHONE peer=PHONE [letters=N] [probe_ms=N] [retry_ms=N] [freeze=1] [send=TEXT]",
        )
    };
    let Some(mut rng) = entropy::generator() else { fail("no randomness") };
    let own = OWN.insert(own_key(&mut rng));
    let Some(server) = server_key() else { fail("no key of the server in `server.der`") };
    let keys = Keys { provider: &RustCrypto, own, server: SERVER.insert(server) };
    let memory = remember(MEMORY, &plan, &mut rng);
    let success = talk(&plan, keys, memory, &mut rng, MACHINE, buffers);
    say_peak("stack: at most ", stack::peak());
    say_peak("heap: at most ", heap::peak());
    host::exit(if success { Outcome::Success } else { Outcome::Failure })
}

/// What outlived power, and the letter that is to be sent now.
#[inline(never)]
fn remember<'m>(
    place: &'m mut Option<Memory>,
    plan: &Plan<'_>,
    rng: &mut ChaCha20Rng,
) -> &'m mut Memory {
    let memory = place.insert(Memory::open(rng));
    if let Some(text) = plan.send
        && memory.outgoing.as_ref().is_none_or(|letter| letter.status == Status::Delivered)
    {
        let Ok(text) = text.try_into() else { fail("the text is too long") };
        let (uid, ids, status) = (Uid::generate(rng), heapless::Vec::new(), Status::Unknown);
        memory.outgoing = Some(Outgoing { uid, text, ids, status });
    }
    memory
}

/// One connection after the other, until the plan is carried out, or cannot be.
fn talk(
    plan: &Plan<'_>,
    keys: Keys<'static, RustCrypto>,
    memory: &mut Memory,
    rng: &mut ChaCha20Rng,
    machine: &mut Option<Machine<'static>>,
    mut buffers: Buffers<&'static mut [u8]>,
) -> bool {
    let mut uart = Uart::start();
    let (mut pause, mut settled, mut clock_offset_s) = (plan.retry, 0, 0);
    loop {
        let options = Options { window: 1, clock_offset_s, ..Options::default() };
        let client = connection(machine, keys, buffers, options);
        let session = Session::new(plan, keys, memory, rng, &mut settled);
        let not_before = match session.run(client, &mut uart) {
            Over::Done => return true,
            Over::Hopeless => return false,
            Over::Later(not_before) => not_before.min(LONGEST_PAUSE),
            Over::Lost => {
                if client.proven_session_key().is_some() {
                    pause = plan.retry;
                    after_loss(plan.retry, rng)
                } else {
                    Duration::ZERO
                }
            }
        };
        clock_offset_s = client.clock_offset_s();
        let Some(client) = machine.take() else { return false };
        buffers = client.into_buffers();
        wait(upper_half(pause, rng).max(not_before));
        pause = (pause * 2).min(LONGEST_PAUSE);
        uart.clear();
    }
}

/// A new machine. It is made in a frame of its own, which is gone when the machine computes.
#[inline(never)]
fn connection<'m>(
    place: &'m mut Option<Machine<'static>>,
    keys: Keys<'static, RustCrypto>,
    buffers: Buffers<&'static mut [u8]>,
    options: Options,
) -> &'m mut Machine<'static> {
    let Ok(client) = Machine::new(keys, buffers, options) else { fail("bad options") };
    place.insert(client)
}

/// A time drawn from the upper half of `pause`.
fn upper_half(pause: Duration, rng: &mut ChaCha20Rng) -> Duration {
    let half = pause / 2;
    half + half * (rng.next_u32() % 1_024) / 1_024
}

/// The wait after a session was lost, with everybody else's: 1 to 10 s where the first pause is 4 s.
fn after_loss(pause: Duration, rng: &mut ChaCha20Rng) -> Duration {
    pause / 4 + pause * (rng.next_u32() % 1_024) / 1_024 * 9 / 4
}

fn wait(time: Duration) {
    let until = clock::now().instant.after(time);
    while clock::now().instant < until {
        cortex_m::asm::wfi();
    }
}

/// The key in `key.der`. Without one, a new one, if that was compiled in.
#[inline(never)]
fn own_key(rng: &mut ChaCha20Rng) -> RustCryptoKey {
    let mut der = [0; 1_280];
    if let Some(len) = host::read_file(c"key.der", &mut der) {
        let Ok(key) = RustCryptoKey::from_pkcs8_der(&der[..len]) else {
            fail("`key.der` is damaged")
        };
        return key;
    }
    new_key(rng)
}

#[cfg(feature = "keygen")]
fn new_key(rng: &mut ChaCha20Rng) -> RustCryptoKey {
    say(&["making a key"]);
    let Ok(key) = RustCryptoKey::generate(rng) else { fail("no key could be made") };
    let stored = key.to_pkcs8_der().is_ok_and(|der| host::write_file(c"key.der", &der));
    if !stored {
        fail("the flash does not take the key");
    }
    key
}

#[cfg(not(feature = "keygen"))]
fn new_key(_: &mut ChaCha20Rng) -> RustCryptoKey {
    fail("no key in `key.der`, and this firmware makes none")
}

#[inline(never)]
fn server_key() -> Option<RustCryptoPublicKey> {
    let mut der = [0; SPKI_LEN];
    host::read_file(c"server.der", &mut der).filter(|len| *len == SPKI_LEN)?;
    RustCrypto.public_key(&Spki::parse(&der).ok()?).ok()
}

fn say_peak(what: &str, bytes: usize) {
    say(&[what, host::decimal(bytes as u32, &mut [0; 10]), " bytes"]);
}

fn fail(why: &str) -> ! {
    say(&[why]);
    host::exit(Outcome::Failure)
}
