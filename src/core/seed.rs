//! All randomness of a run follows from the scenario's seed, by generators that give the same
//! numbers on every machine.

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use siphasher::sip::SipHasher13;

/// The seed for one purpose, such as the third run of one server. Each purpose has a seed of its
/// own, so that a draw for one does not change those for others.
pub(crate) fn derive(seed: u64, purpose: &str, number: u64) -> u64 {
    SipHasher13::new_with_keys(seed, number).hash(purpose.as_bytes())
}

/// The random generator for one purpose.
pub(crate) fn stream(seed: u64, purpose: &str, number: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(derive(seed, purpose, number))
}
