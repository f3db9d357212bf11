//! All randomness of the model, from one seed. Draws nothing from the system.

use serde::{Deserialize, Serialize};

/// A seeded generator whose state is plain data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// A generator that repeats itself for the same seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn draw<T>(&mut self, pick: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        let mut rng = fastrand::Rng::with_seed(self.state);
        let value = pick(&mut rng);
        self.state = rng.get_seed();
        value
    }

    /// A number in `low..high`.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        self.draw(|rng| rng.u32(low..high))
    }

    /// A random (version 4) UUID.
    pub fn uuid(&mut self) -> String {
        let bytes = self.draw(|rng| rng.u128(..)).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// A MAC address under the prefix that Proxmox uses.
    pub fn mac(&mut self) -> String {
        let bytes = self.draw(|rng| rng.u32(..)).to_be_bytes();
        format!("BC:24:11:{:02X}:{:02X}:{:02X}", bytes[1], bytes[2], bytes[3])
    }
}
