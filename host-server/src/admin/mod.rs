//! What an operator does besides running the server.

pub mod audit;
pub mod commands;
pub mod control;
mod protocol;
pub mod running;
