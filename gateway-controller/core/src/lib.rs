//! The gateway controller's rules: who has a name, what an agent may do, which records a site needs, what its status
//! says. Pure: nothing here waits, asks or writes.

pub mod access;
pub mod claim;
pub mod dns;
pub mod enrolment;
pub mod reason;
#[cfg(test)]
mod samples;
pub mod status;
