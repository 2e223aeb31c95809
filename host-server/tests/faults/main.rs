//! A whole server over a database whose disk fails or loses power: machine, storage and people,
//! with crypto at the price of a hash. The file is opened as always; `testkit-sqlite` fails below.
//!
//! `WAXWING_POWER_CUTS=n` says how often the power goes.

mod archive;
mod books;
mod damaged_pages;
mod failing_calls;
mod groups;
mod power_cuts;
mod schema_changes;
mod service;
#[path = "../support/mod.rs"]
mod support;
