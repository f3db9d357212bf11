//! All randomness of the model, from one seed. Draws nothing from the system.

/// A seeded generator.
#[derive(Debug, Clone)]
pub struct Dice(fastrand::Rng);

impl Dice {
    /// A generator that repeats itself for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// 32 hex digits, as objects are named.
    pub fn id(&mut self) -> String {
        format!("{:032x}", self.0.u128(..))
    }

    /// 16 hex digits, as answers are named.
    pub fn ray(&mut self) -> String {
        format!("{:016x}-SIM", self.0.u64(..))
    }

    /// The secret of a token: 40 letters and digits.
    pub fn secret(&mut self) -> String {
        (0..40).map(|_| self.0.alphanumeric()).collect()
    }

    /// A number below 1 000 000.
    pub fn millionth(&mut self) -> u32 {
        self.0.u32(..1_000_000)
    }
}
