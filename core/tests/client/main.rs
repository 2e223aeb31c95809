//! The client machine against a server that does as a script says, right or wrong.

mod acknowledgments;
mod buffers;
mod clocks;
mod fragments;
mod garbage;
mod keys;
mod letters;
mod line;
mod ops;
mod progress;
mod questions;
mod reflections;
mod refusals;
mod seals;
mod seen;
mod server;
mod signatures;
mod statuses;
mod waiting;
mod window;
