//! The Contract controller.

mod controller;
mod execute;
mod observe;

pub use controller::start;
