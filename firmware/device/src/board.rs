//! What a board supplies beside its line to the server.

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;

use semihosting::io::Read as _;
use semihosting::sys::arm_compat::{sys_get_cmdline_uninit, sys_write0};
use semihosting::{fs, process};
use waxwing_core::time::Now;

/// A board, as the device sees it.
///
/// A clock is all that every board must bring. For the rest there is semihosting: what QEMU, or a
/// debugger, does for a processor that has no console, no disk and no source of randomness. A board
/// that runs without one brings its own console, flash and generator, and overrides them all:
/// a call to semihosting that nobody answers stops the processor. [`Board::say`] and [`Board::fail`]
/// are made of the others.
pub trait Board: Sync {
    /// What the clocks say. The civil one may begin in 1970 at every start.
    fn now(&self) -> Now;

    /// Returns at the next interrupt, and after some milliseconds if there was none.
    fn sleep(&self);

    /// 32 bytes that nobody can guess, other ones at every start; `None` if there are none.
    fn seed(&self) -> Option<[u8; 32]> {
        let mut seed = [0; 32];
        let read = read_file(c"/dev/urandom", &mut seed)?;
        (read == seed.len()).then_some(seed)
    }

    /// Writes text on the console, as it is.
    fn print(&self, text: &str) {
        let mut room = [0; 65];
        for piece in text.as_bytes().chunks(room.len() - 1) {
            room[..piece.len()].copy_from_slice(piece);
            room[piece.len()] = 0;
            if let Ok(piece) = CStr::from_bytes_until_nul(&room) {
                sys_write0(piece);
            }
        }
    }

    /// Reads the front of a region of the flash: how many bytes there were, `None` if nothing was
    /// ever written there.
    fn read(&self, region: Region, room: &mut [u8]) -> Option<usize> {
        read_file(region.file(), room)
    }

    /// Writes a region of the flash: whether that went well. When this returns the bytes survive
    /// power. If power fails meanwhile, the region may hold anything.
    fn write(&self, region: Region, bytes: &[u8]) -> bool {
        fs::write(region.file(), bytes).is_ok()
    }

    /// What the device is to do: [`crate::plan`] reads it.
    fn command_line<'r>(&self, room: &'r mut [u8; 256]) -> &'r str {
        let mut place = [MaybeUninit::uninit(); 256];
        let line = sys_get_cmdline_uninit(&mut place).unwrap_or_default();
        let room = &mut room[..line.len()];
        room.copy_from_slice(line);
        core::str::from_utf8(room).unwrap_or_default()
    }

    /// Ends the program.
    fn exit(&self, outcome: Outcome) -> ! {
        process::exit(match outcome {
            Outcome::Success => 0,
            Outcome::Failure => 1,
        })
    }

    /// Writes a line on the console.
    fn say(&self, parts: &[&str]) {
        for part in parts {
            self.print(part);
        }
        self.print("\n");
    }

    /// Says why, and ends the program with a failure.
    fn fail(&self, why: &str) -> ! {
        self.say(&[why]);
        self.exit(Outcome::Failure)
    }
}

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was to do.
    Success,
    /// It did not.
    Failure,
}

/// A part of the flash that is written as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// The device's private key, in PKCS#8: 1,280 bytes at most.
    OwnKey,
    /// The server's public key, an SPKI of 294 bytes.
    ServerKey,
    /// The first of the two slots of [`crate::flash`], 2,048 bytes.
    FirstSlot,
    /// The second one.
    SecondSlot,
}

impl Region {
    /// Where semihosting keeps it.
    const fn file(self) -> &'static CStr {
        match self {
            Self::OwnKey => c"key.der",
            Self::ServerKey => c"server.der",
            Self::FirstSlot => c"memory-0",
            Self::SecondSlot => c"memory-1",
        }
    }
}

/// A number as text.
pub fn decimal(mut value: u32, room: &mut [u8; 10]) -> &str {
    let mut at = room.len();
    for (place, digit) in room.iter_mut().enumerate().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        at = place;
        if value == 0 {
            break;
        }
    }
    core::str::from_utf8(&room[at..]).unwrap_or_default()
}

/// For the board's panic handler: says where, and ends the program with a failure.
pub fn panicked(board: &dyn Board, info: &PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("?", 0), |at| (at.file(), at.line()));
    board.say(&["panic at ", file, ":", decimal(line, &mut [0; 10])]);
    board.exit(Outcome::Failure)
}

fn read_file(name: &CStr, room: &mut [u8]) -> Option<usize> {
    let mut file = fs::File::open(name).ok()?;
    let mut len = 0;
    while len < room.len() {
        match file.read(&mut room[len..]).ok()? {
            0 => break,
            count => len += count,
        }
    }
    Some(len)
}
