//! What is kept on disk so that a start needs no hub: site and routes, with a checksum. Owns the format; must not touch
//! a file.
//!
//! A route is stored as index and UIDs alone: all else follows from these and the site.

use domain::ids::Uid;
use domain::slot::{SlotError, SlotIndex};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::routes::{Route, Routes};
use crate::site::{Site, SiteError, SiteFacts};

/// The format's version.
const VERSION: u32 = 1;
/// No snapshot is larger.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Corrupt {
    /// It is larger than any of ours.
    #[error("it is larger than 32 MB")]
    TooLarge,
    /// It is torn, or not a snapshot.
    #[error("it is torn, or not a snapshot")]
    Form(#[source] serde_json::Error),
    /// It was written by another version.
    #[error("its version is {0}, this program reads 1")]
    Version(u32),
    /// Its content is not what was written.
    #[error("its content does not match its checksum")]
    Checksum,
    /// Its site cannot be used.
    #[error("its site cannot be used")]
    Site(#[source] SiteError),
    /// One of its routes is none of its site's.
    #[error("its route of slot {0} is none of its site's")]
    Route(SlotIndex, #[source] SlotError),
}

/// The content could not be written as JSON.
#[derive(Debug, thiserror::Error)]
#[error("failed to encode the snapshot")]
pub struct EncodeError(#[source] serde_json::Error);

#[derive(Serialize, Deserialize)]
struct Envelope<B> {
    version: u32,
    sha256: String,
    body: B,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Body {
    site: SiteFacts,
    /// Index, UID of the Slot, UID of the Contract.
    routes: Vec<(SlotIndex, Uid, Uid)>,
    /// Forwarded slots whose route is not known.
    unnamed: Vec<SlotIndex>,
}

/// The snapshot of this.
///
/// # Errors
/// When it cannot be encoded.
pub fn encode(site: &Site, routes: &Routes) -> Result<Vec<u8>, EncodeError> {
    let body = Body {
        site: site.facts().clone(),
        routes: routes
            .iter()
            .map(|route| (route.index, route.uid, route.contract))
            .collect(),
        unnamed: routes.unnamed().map(|(index, _)| index).collect(),
    };
    let body = serde_json::value::to_raw_value(&body).map_err(EncodeError)?;
    let envelope = Envelope {
        version: VERSION,
        sha256: checksum(body.get()),
        body,
    };
    serde_json::to_vec(&envelope).map_err(EncodeError)
}

/// What a snapshot says.
///
/// # Errors
/// Why it cannot be used.
pub fn decode(bytes: &[u8]) -> Result<(Site, Routes), Corrupt> {
    if bytes.len() > MAX_BYTES {
        return Err(Corrupt::TooLarge);
    }
    let VersionOnly { version } = serde_json::from_slice(bytes).map_err(Corrupt::Form)?;
    if version != VERSION {
        return Err(Corrupt::Version(version));
    }
    let envelope: Envelope<&RawValue> = serde_json::from_slice(bytes).map_err(Corrupt::Form)?;
    if envelope.sha256 != checksum(envelope.body.get()) {
        return Err(Corrupt::Checksum);
    }
    let body: Body = serde_json::from_str(envelope.body.get()).map_err(Corrupt::Form)?;
    let site = Site::new(body.site).map_err(Corrupt::Site)?;
    let route = |(index, uid, contract): (SlotIndex, Uid, Uid)| {
        Route::new(&site, index, uid, contract).map_err(|error| Corrupt::Route(index, error))
    };
    let mut routes: Routes = body.routes.into_iter().map(route).collect::<Result<_, _>>()?;
    for index in body.unnamed {
        routes
            .keep(&site, index)
            .map_err(|error| Corrupt::Route(index, error))?;
    }
    Ok((site, routes))
}

fn checksum(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    fn sample() -> (Site, Routes, Vec<u8>) {
        let (site, mut routes) = (samples::site(), samples::routes(20));
        routes.keep(&site, SlotIndex(77)).unwrap();
        let bytes = encode(&site, &routes).unwrap();
        (site, routes, bytes)
    }

    #[test]
    fn what_was_written_is_read() {
        let (site, routes, bytes) = sample();
        assert_eq!(decode(&bytes).unwrap(), (site, routes));
    }

    proptest! {
        #[test]
        fn a_torn_snapshot_is_none(cut in 0..1000_usize) {
            let (.., bytes) = sample();
            prop_assert!(decode(&bytes[..cut.min(bytes.len() - 1)]).is_err());
        }

        #[test]
        fn no_flipped_bit_goes_unseen(at: prop::sample::Index, bit in 0..8_u8) {
            let (site, routes, mut bytes) = sample();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(read) = decode(&bytes) {
                // Only where the text means the same, such as a blank or the case of a hex digit.
                prop_assert_eq!(read, (site, routes));
            }
        }
    }

    #[test]
    fn why_it_cannot_be_used_is_said() {
        let (.., bytes) = sample();
        let text = String::from_utf8(bytes).unwrap();
        let other = text.replacen("ams1.gw", "ams2.gw", 1);
        assert!(matches!(decode(other.as_bytes()), Err(Corrupt::Checksum)));
        let newer = text.replacen("\"version\":1", "\"version\":2", 1);
        assert!(matches!(decode(newer.as_bytes()), Err(Corrupt::Version(2))));
        assert!(matches!(decode(b"{}"), Err(Corrupt::Form(_))));
    }
}
