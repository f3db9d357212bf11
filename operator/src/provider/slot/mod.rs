//! The Slot's shell: gives back what was released, rests it, and keeps aside what can't be proven.

pub mod controller;
pub mod giveback;
pub mod setting;
