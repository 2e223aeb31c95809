//! The full screen.
//!
//! ```text
//!               events                        cells
//! terminal ──▶ input ──▶ state ──────▶ draw ──────▶ terminal
//!                        │  ▲ events
//!                   acts ▼  │
//!                        desk ──▶ home (reads alone)
//!                         │ ▲
//!                errands  ▼ │ news
//!                       courier ──▶ home, server
//! ```
//!
//! [`state`] and [`mod@draw`] have no I/O: what is read, typed and told comes in as [`event::Event`], and
//! what is to be done comes out as [`event::Act`]. The [`desk`] does it in the thread of the terminal,
//! which reads the home and writes nothing to it; what takes long, or waits for the disk or the server,
//! the [`courier`](crate::courier) carries.

pub mod bindings;
pub mod desk;
pub mod draw;
pub mod event;
pub mod input;
pub mod state;
pub mod theme;

#[cfg(test)]
mod tests;
