//! What an operator does besides running the server.

pub mod audit;
pub mod commands;
pub mod control;
pub mod files;
pub mod health;
pub mod http;
pub mod metrics;
mod patience;
mod protocol;
pub mod reports;
pub mod running;
mod serving;
pub mod standby;
mod wait;
