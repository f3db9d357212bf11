//! Guests in real network namespaces. They need root; without it every test says loudly that it is skipped.

#[cfg(test)]
mod isolation;
#[cfg(test)]
mod life;
#[cfg(test)]
mod login;
#[cfg(test)]
mod place;
#[cfg(test)]
mod rig;
