//! The recorded answers of a real Proxmox VE against the simulator's, pair by pair.
//!
//! A pair's situation is found by its request and by what its answer says of the state, never by its name.
//! `exclusions.txt` holds what cannot be reproduced, each with a reason.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod bed;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod count;
#[cfg(test)]
mod differing;
#[cfg(test)]
mod entries;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod exclusions;
#[cfg(test)]
mod firewall;
#[cfg(test)]
mod guests;
#[cfg(test)]
mod inside;
#[cfg(test)]
mod pairs;
#[cfg(test)]
mod request;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod run;
#[cfg(test)]
mod unseen;
#[cfg(test)]
mod whole;
