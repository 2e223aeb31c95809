//! Messengers that write to each other over a server: what people would notice, whatever fails.

mod connections;
mod crashes;
mod keys;
mod letters;
mod succession;

/// With cryptography at the price of a hash.
type Population = waxwing_testkit::population::Population<waxwing_testkit::backend::Paper>;
