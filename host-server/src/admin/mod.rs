//! What an operator does besides running the server.

pub mod audit;
pub mod control;
pub mod users;
