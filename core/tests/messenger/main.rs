//! Messengers that write to each other over a server: what people would notice, whatever fails.

mod crashes;
mod keys;
mod letters;
mod population;
