//! The Waxwing protocol core.
#![no_std]
