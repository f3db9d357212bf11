//! The simulator over real HTTPS, against what the real daemon was recorded to answer.

#[cfg(test)]
mod access;
#[cfg(test)]
mod accounts;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod beneath;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod clone;
#[cfg(test)]
mod config;
#[cfg(test)]
mod control;
mod datacenter;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod firewall;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod power;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod robustness;
mod scale;
#[cfg(test)]
mod transport;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod waits;
