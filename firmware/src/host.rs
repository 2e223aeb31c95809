//! Semihosting: what the debugger, here QEMU, does for a board that has no console and no disk.

use core::ffi::CStr;

use cortex_m_semihosting::{debug, nr, syscall, syscall1};

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Success,
    /// Exit code 1.
    Failure,
}

/// Ends QEMU.
pub fn exit(outcome: Outcome) -> ! {
    debug::exit(match outcome {
        Outcome::Success => debug::EXIT_SUCCESS,
        Outcome::Failure => debug::EXIT_FAILURE,
    });
    loop {
        cortex_m::asm::wfi();
    }
}

/// Writes a line on the console.
pub fn say(parts: &[&str]) {
    for part in parts {
        write(part);
    }
    write("\n");
}

/// Writes text on the console, as it is.
pub fn write(text: &str) {
    let mut room = [0_u8; 65];
    for piece in text.as_bytes().chunks(room.len() - 1) {
        room[..piece.len()].copy_from_slice(piece);
        room[piece.len()] = 0;
        // SAFETY: the text is terminated, and QEMU only reads it.
        unsafe { syscall1(nr::WRITE0, room.as_ptr() as usize) };
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

/// The console for `core::fmt`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console;

impl core::fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        write(text);
        Ok(())
    }
}

/// The arguments that QEMU was given, separated by blanks.
pub fn command_line(room: &mut [u8]) -> &str {
    let mut block = [room.as_mut_ptr() as usize, room.len()];
    // SAFETY: the block says where the room is and how much of it there is.
    let failed = unsafe { syscall1(nr::GET_CMDLINE, block.as_mut_ptr() as usize) };
    let len = if failed == 0 { block[1].min(room.len()) } else { 0 };
    core::str::from_utf8(&room[..len]).unwrap_or_default().trim_end_matches('\0')
}

/// Reads the front of a file; how many bytes there were, `None` if there is no such file.
pub fn read_file(name: &CStr, room: &mut [u8]) -> Option<usize> {
    let file = open(name, nr::open::R_BINARY)?;
    // SAFETY: the room is ours and as long as said.
    let missing = unsafe { syscall!(READ, file, room.as_mut_ptr(), room.len()) };
    close(file);
    room.len().checked_sub(missing)
}

/// Writes a whole file; whether that went well.
pub fn write_file(name: &CStr, bytes: &[u8]) -> bool {
    let Some(file) = open(name, nr::open::W_TRUNC_BINARY) else { return false };
    // SAFETY: QEMU only reads the bytes.
    let missing = unsafe { syscall!(WRITE, file, bytes.as_ptr(), bytes.len()) };
    close(file);
    missing == 0
}

fn open(name: &CStr, mode: usize) -> Option<usize> {
    // SAFETY: the name is terminated, and QEMU only reads it.
    let file = unsafe { syscall!(OPEN, name.as_ptr(), mode, name.count_bytes()) };
    (file != usize::MAX).then_some(file)
}

fn close(file: usize) {
    // SAFETY: it names a file that was opened.
    unsafe { syscall!(CLOSE, file) };
}
