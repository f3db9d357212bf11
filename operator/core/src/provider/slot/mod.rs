//! The Slot after its use: released, destroyed, rested, or set aside.

#[cfg(test)]
mod laws;
pub mod release;
pub mod words;
