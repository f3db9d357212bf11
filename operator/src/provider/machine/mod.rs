//! The Machine's shell: claims a Slot, drives its VM to the blueprint, and at the end gives the Slots back.

pub mod claim;
pub mod controller;
pub mod outcome;
pub mod pursue;
pub mod report;
pub mod site;
pub mod teardown;
