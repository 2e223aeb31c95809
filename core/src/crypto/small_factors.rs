//! Whether a modulus has a factor that anybody finds (PROTOCOL.md, "Keys").

use super::spki::MODULUS_LEN;

const LIMBS: usize = MODULUS_LEN / 8;

/// Whether a prime below 2^16 divides an odd number, big endian.
pub(super) fn has_small_factor(number: &[u8; MODULUS_LEN]) -> bool {
    let limbs = limbs(number);
    // Four primes at a time: their product still fits a limb.
    PRIMES.chunks(4).any(|primes| {
        let product = primes.iter().fold(1_u64, |all, prime| all.wrapping_mul(u64::from(*prime)));
        let rest = shifted_rest(&limbs, product);
        primes.iter().any(|prime| rest.checked_rem(u64::from(*prime)) == Some(0))
    })
}

/// The lowest first.
fn limbs(number: &[u8; MODULUS_LEN]) -> [u64; LIMBS] {
    let mut limbs = [0; LIMBS];
    for (limb, bytes) in limbs.iter_mut().zip(number.rchunks_exact(8)) {
        *limb = bytes.iter().fold(0, |acc, byte| (acc << 8) | u64::from(*byte));
    }
    limbs
}

/// A number below the odd `divisor` that has the same factors in common with it as the one in
/// `limbs` has. At each limb such a multiple of the divisor is subtracted that nothing is left of
/// the limb, so what is carried beyond the highest is the rest, up to a power of two and the sign.
/// That takes multiplications, where the rest itself would take divisions.
fn shifted_rest(limbs: &[u64; LIMBS], divisor: u64) -> u64 {
    let inverse = inverse(divisor);
    let mut carry = 0;
    for limb in limbs {
        let (rest, borrows) = limb.overflowing_sub(carry);
        let (_, above) = rest.wrapping_mul(inverse).carrying_mul(divisor, 0);
        carry = above.wrapping_add(u64::from(borrows));
    }
    carry
}

/// The inverse of an odd number modulo 2^64.
fn inverse(odd: u64) -> u64 {
    // The number itself is right in its three lowest bits; each step doubles them.
    (0..5).fold(odd, |inverse: u64, _| {
        inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)))
    })
}

/// The odd primes below 2^16.
static PRIMES: [u16; 6_541] = odd_primes();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the compiler evaluates it, and a mistake would fail the build"
)]
const fn odd_primes() -> [u16; 6_541] {
    let mut is_composite = [false; 65_536];
    let mut primes = [0; 6_541];
    let (mut number, mut found) = (3, 0);
    while number < 65_536 {
        if !is_composite[number] {
            primes[found] = number as u16;
            found += 1;
            let mut multiple = number * number;
            while multiple < 65_536 {
                is_composite[multiple] = true;
                multiple += number;
            }
        }
        number += 2;
    }
    assert!(found == primes.len());
    primes
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    /// The rest by the book, byte by byte.
    fn rest(number: &[u8; MODULUS_LEN], prime: u16) -> u64 {
        number.iter().fold(0, |rest, byte| (rest * 256 + u64::from(*byte)) % u64::from(prime))
    }

    fn random(rng: &mut ChaCha20Rng) -> [u8; MODULUS_LEN] {
        let mut number = [0; MODULUS_LEN];
        rng.fill_bytes(&mut number);
        number[0] |= 0x80;
        number[255] |= 1;
        number
    }

    #[test]
    fn the_table_is_of_all_odd_primes_of_two_bytes() {
        assert_eq!((PRIMES[0], PRIMES[1], PRIMES[6_540]), (3, 5, 65_521));
        assert!(PRIMES.is_sorted());
    }

    #[test]
    fn finds_what_trial_division_finds_in_numbers_of_any_kind() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut found = [0; 2];
        for _ in 0..200 {
            let number = random(&mut rng);
            let expected = PRIMES.iter().any(|prime| rest(&number, *prime) == 0);
            assert_eq!(has_small_factor(&number), expected, "{number:02x?}");
            found[usize::from(expected)] += 1;
        }
        assert!(found.iter().all(|count| *count > 10), "{found:?}");
    }

    #[test]
    fn finds_each_prime_that_is_planted() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for prime in PRIMES {
            let mut number = random(&mut rng);
            // Made divisible, and odd again if that took an odd addition.
            let mut missing = u64::from(prime) - rest(&number, prime);
            if missing % 2 == 1 {
                missing += u64::from(prime);
            }
            for byte in number.iter_mut().rev() {
                let sum = u64::from(*byte) + missing;
                (*byte, missing) = ((sum & 0xff) as u8, sum >> 8);
            }
            assert_eq!(rest(&number, prime), 0);
            assert_eq!(shifted_rest(&limbs(&number), u64::from(prime)) % u64::from(prime), 0);
            assert!(has_small_factor(&number));
        }
    }
}
