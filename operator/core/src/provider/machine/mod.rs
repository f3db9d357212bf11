//! The Machine: from its objects to a VM as asked.

#[cfg(test)]
mod abstract_proxmox;
pub mod blueprint;
pub mod configure;
pub mod isolate;
#[cfg(test)]
mod laws;
pub mod plan;
pub mod status;
pub mod words;
