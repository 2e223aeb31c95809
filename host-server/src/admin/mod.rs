//! What an operator does besides running the server.

pub mod users;
