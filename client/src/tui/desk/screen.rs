//! Cells as bytes for a terminal.

use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd as _;

use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::Cell;
use ratatui_core::layout::{Position, Size};
use ratatui_core::style::{Color, Modifier};

/// The size of a terminal that does not say one.
const USUAL: Size = Size { width: 80, height: 24 };

/// A terminal that is written to, a frame at a time.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// What is to be written.
    bytes: String,
    cursor: Position,
}

/// How the next cell looks.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    foreground: Color,
    ground: Color,
    modifier: Modifier,
}

impl Screen {
    /// How many columns and rows the terminal has.
    pub(super) fn size() -> Size {
        let size = rustix::termios::tcgetwinsize(io::stdout().as_fd());
        match size {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Size { width: size.ws_col, height: size.ws_row }
            }
            _ => USUAL,
        }
    }

    /// Writes control sequences.
    pub(super) fn control(&mut self, sequences: &str) -> io::Result<()> {
        self.bytes.push_str(sequences);
        self.flush()
    }

    fn push(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.bytes.write_fmt(what);
    }

    fn move_to(&mut self, x: u16, y: u16) {
        self.push(format_args!("\x1b[{};{}H", u32::from(y) + 1, u32::from(x) + 1));
    }

    fn look(&mut self, look: Look) {
        self.bytes.push_str("\x1b[0");
        for (modifier, code) in [
            (Modifier::BOLD, ";1"),
            (Modifier::DIM, ";2"),
            (Modifier::UNDERLINED, ";4"),
            (Modifier::REVERSED, ";7"),
        ] {
            if look.modifier.contains(modifier) {
                self.bytes.push_str(code);
            }
        }
        for (color, base) in [(look.foreground, 30), (look.ground, 40)] {
            if let Some(code) = code(color) {
                self.push(format_args!(";{}", base + code));
            }
        }
        self.bytes.push('m');
    }
}

/// One of the 16 colors that every terminal has, each as its owner has chosen it.
const fn code(color: Color) -> Option<u8> {
    Some(match color {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 60,
        Color::LightRed => 61,
        Color::LightGreen => 62,
        Color::LightYellow => 63,
        Color::LightBlue => 64,
        Color::LightMagenta => 65,
        Color::LightCyan => 66,
        Color::White => 67,
        _ => return None,
    })
}

impl Backend for Screen {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut at = None;
        let mut look = None;
        for (x, y, cell) in content {
            if at != Some((x, y)) {
                self.move_to(x, y);
            }
            let wanted = Look { foreground: cell.fg, ground: cell.bg, modifier: cell.modifier };
            if look != Some(wanted) {
                self.look(wanted);
                look = Some(wanted);
            }
            self.bytes.push_str(cell.symbol());
            // Terminals do not agree how far other characters move the cursor.
            at = cell.symbol().is_ascii().then(|| (x + 1, y));
        }
        self.bytes.push_str("\x1b[0m");
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.bytes.push_str("\x1b[?25l");
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.bytes.push_str("\x1b[?25h");
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.cursor = position.into();
        self.move_to(self.cursor.x, self.cursor.y);
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.bytes.push_str("\x1b[0m\x1b[2J");
        Ok(())
    }

    fn clear_region(&mut self, _region: ClearType) -> io::Result<()> {
        // It is the whole screen that this program has.
        self.clear()
    }

    fn size(&self) -> io::Result<Size> {
        Ok(Self::size())
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: Self::size(), pixels: Size::ZERO })
    }

    /// Writes everything at once: nobody sees half a frame.
    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        let mut rest = bytes.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(io::stdout().as_fd(), rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => rest = &rest[len..],
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => wait_for_room()?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Somebody else may have told the terminal not to let writers wait.
fn wait_for_room() -> io::Result<()> {
    let out = io::stdout();
    let mut room = [rustix::event::PollFd::new(&out, rustix::event::PollFlags::OUT)];
    match rustix::event::poll(&mut room, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
