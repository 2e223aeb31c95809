//! The device: its parts, in the order in which they come up, and its end.

use core::fmt::{self, Write};
use core::mem::MaybeUninit;

use embedded_io::{Read, ReadReady, WriteReady};
use rand_chacha::ChaCha20Rng;
use static_cell::{ConstStaticCell, StaticCell};
use waxwing_core::client::Keys;
use waxwing_core::crypto::{
    KeyError, PKCS8_MAX, PrivateKey, Provider, RustCrypto, RustCryptoKey, RustCryptoPublicKey,
    SPKI_LEN, Spki,
};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::messenger::{Account, Messenger};

use crate::board::{Board, Outcome, Region, decimal};
use crate::memory::Memory;
use crate::plan::Plan;
use crate::{entropy, heap, stack};

/// For the `rsa` crate: the device's key, and what computing with it takes.
const HEAP: usize = 16 * 1_024;

/// A messenger for one conversation, without memory for letters aside.
pub(crate) type Waxwing = Messenger<'static, [u8; 0], 2>;

static HEAP_MEMORY: ConstStaticCell<[MaybeUninit<u8>; HEAP]> =
    ConstStaticCell::new([MaybeUninit::uninit(); HEAP]);
static OWN: StaticCell<RustCryptoKey> = StaticCell::new();
static SERVER: StaticCell<(Spki, RustCryptoPublicKey)> = StaticCell::new();
static MEMORY: StaticCell<Memory> = StaticCell::new();
static MESSENGER: StaticCell<Waxwing> = StaticCell::new();

/// What registers, talks with one person, and comes back whatever happens to it.
pub struct Device {
    pub(crate) board: &'static dyn Board,
    pub(crate) plan: Plan,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) keys: Keys<'static, RustCrypto>,
    pub(crate) messenger: &'static mut Waxwing,
    pub(crate) memory: &'static mut Memory,
}

impl Device {
    /// The device of a board, with what its flash holds. Call it once. When something is missing,
    /// this says what, and ends the program.
    #[inline(never)]
    pub fn new(board: &'static dyn Board) -> Self {
        stack::paint();
        heap::start(HEAP_MEMORY.take());
        let Some(plan) = Plan::parse(board.command_line(&mut [0; 256])) else {
            board.fail(Plan::USAGE)
        };
        let Some(mut rng) = entropy::generator(board) else { board.fail("no randomness") };
        let own = OWN.init(own_key(board, &mut rng));
        let (spki, server) = SERVER.init(server_key(board));
        let keys = Keys { provider: &RustCrypto, own, server };
        let memory = remember(board, &plan, &mut rng);
        let fingerprint = Fingerprint::of(keys.provider, &plan.own, keys.own.spki());
        let account = Account { phone: plan.own, user: memory.user(), fingerprint, server: spki };
        let messenger = MESSENGER.init(Waxwing::new(account, []));
        Self { board, plan, rng, keys, messenger, memory }
    }

    /// What it is to do.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its random generator.
    pub const fn rng(&mut self) -> &mut ChaCha20Rng {
        &mut self.rng
    }

    /// Carries out the plan over a stream that can be asked whether it is ready, and ends the program.
    ///
    /// `connect` gives up what is left of the last connection, and begins another one. It need not wait
    /// for the server: until that is there the stream is not ready, and if it is not to be had,
    /// reading and writing fail.
    pub fn run<S>(mut self, stream: &mut S, connect: impl FnMut(&mut S)) -> !
    where
        S: Read + ReadReady + embedded_io::Write + WriteReady,
    {
        let success = self.talk(stream, connect);
        self.end(success)
    }

    /// Says how much memory all of it took, and ends the program.
    pub fn end(&self, success: bool) -> ! {
        self.say_peak("stack: at most ", stack::peak());
        self.say_peak("heap: at most ", heap::peak());
        self.board.exit(if success { Outcome::Success } else { Outcome::Failure })
    }

    fn say_peak(&self, what: &str, bytes: usize) {
        self.board.say(&[what, decimal(bytes as u32, &mut [0; 10]), " bytes"]);
    }
}

/// What outlived power, and the letter that is to be sent now.
#[inline(never)]
fn remember(board: &'static dyn Board, plan: &Plan, rng: &mut ChaCha20Rng) -> &'static mut Memory {
    let memory = MEMORY.init_with(|| Memory::new(board, plan.peer, rng));
    if memory.open().is_err() {
        board.fail("the flash does not take it");
    }
    if *memory.peer() != plan.peer {
        board.fail("the flash is that of a device which talks with somebody else");
    }
    match plan.send.clone().map(|text| memory.write(text, rng)) {
        None | Some(Ok(true)) => {}
        Some(Ok(false)) => {
            board.say(&["the text is not taken: an earlier letter has yet to be delivered"]);
        }
        Some(Err(_)) => board.fail("the flash does not take it"),
    }
    memory
}

/// The key in the flash. Without one, a new one, if that was compiled in.
#[inline(never)]
fn own_key(board: &dyn Board, rng: &mut ChaCha20Rng) -> RustCryptoKey {
    let mut der = [0; PKCS8_MAX];
    let Some(len) = board.read(Region::OwnKey, &mut der) else { return new_key(board, rng) };
    match RustCryptoKey::from_pkcs8_der(&der[..len]) {
        Ok(key) => key,
        Err(why) => refuse(board, "`key.der`", why),
    }
}

#[cfg(feature = "keygen")]
fn new_key(board: &dyn Board, rng: &mut ChaCha20Rng) -> RustCryptoKey {
    board.say(&["making a key"]);
    let Ok(key) = RustCryptoKey::generate(rng) else { board.fail("no key could be made") };
    if !key.to_pkcs8_der().is_ok_and(|der| board.write(Region::OwnKey, &der)) {
        board.fail("the flash does not take the key");
    }
    key
}

#[cfg(not(feature = "keygen"))]
fn new_key(board: &dyn Board, _: &mut ChaCha20Rng) -> RustCryptoKey {
    board.fail("no key in `key.der`, and this firmware makes none")
}

#[inline(never)]
fn server_key(board: &dyn Board) -> (Spki, RustCryptoPublicKey) {
    let mut der = [0; SPKI_LEN];
    let Some(len) = board.read(Region::ServerKey, &mut der) else {
        board.fail("no key of the server in `server.der`")
    };
    let Ok(spki) = Spki::parse(&der[..len]) else {
        refuse(board, "`server.der`", KeyError::of_public(&der[..len]))
    };
    let Ok(key) = RustCrypto.public_key(&spki) else {
        refuse(board, "`server.der`", KeyError::Form)
    };
    (spki, key)
}

/// Says why a key is of no use, and ends the program.
fn refuse(board: &dyn Board, region: &str, why: KeyError) -> ! {
    let _ = writeln!(Console(board), "{region}: {why}");
    board.exit(Outcome::Failure)
}

/// The board's console, for what has to be formatted.
struct Console<'a>(&'a dyn Board);

impl Write for Console<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.print(text);
        Ok(())
    }
}
