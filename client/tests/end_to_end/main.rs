//! The real binaries, as people and operators meet them: a server and clients as processes,
//! talking over TCP.
//!
//! `WAXWING_TEST_SERVER` and `WAXWING_TEST_CLIENT` name other binaries to be tested, such as
//! ones that were built with the other crypto backend. `WAXWING_TEST_LOOPS` says how many event
//! loops the servers have.

mod accounts;
mod binaries;
mod bots;
mod canaries;
mod chat;
mod clocks;
mod codes;
mod control;
mod conversation;
mod crashes;
mod disk;
mod dumps;
mod forgeries;
mod gateway;
mod homes;
mod keylog;
mod keys;
mod lies;
mod lost;
mod many_clients;
mod metrics;
mod microcontroller;
mod operator;
mod output;
#[path = "../../../host-server/tests/support/postgres.rs"]
mod postgres;
mod process;
mod proxy;
mod registration;
mod rpc;
mod screen;
mod secrets;
mod sent_codes;
mod servers;
mod strangers;
mod terminal;
mod test_server;
mod waiting;
