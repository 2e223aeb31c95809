//! What an operator does besides running the server.

pub mod control;
pub mod users;
