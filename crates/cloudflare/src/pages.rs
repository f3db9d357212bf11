//! Whole lists: pages while others change them. A list of one page is one look; a longer one is read until two looks in a
//! row see the same, so that no record is lost or seen twice between two pages.

use std::collections::BTreeMap;

use crate::act::Act;
use crate::cf::Cf;
use crate::endpoints::{ListRecords, Which};
use crate::error::Error;
use crate::name::ZoneId;
use crate::record::Record;

/// The most records that are read; no plan has more in one answer of use to us.
const MOST: u64 = 20_000;
/// How often a list is read in all.
const LOOKS: usize = 6;

/// The records of a zone that a filter lets through.
pub(crate) async fn all(cf: &Cf, zone: &ZoneId, which: &Which) -> Result<Vec<Record>, Error> {
    let (mut last, whole) = look(cf, zone, which).await?;
    if whole {
        return Ok(last.into_values().collect());
    }
    for _ in 1..LOOKS {
        let (next, _) = look(cf, zone, which).await?;
        if next == last {
            return Ok(last.into_values().collect());
        }
        last = next;
    }
    Err(Error::Unsettled { act: Act::List })
}

type Seen = BTreeMap<String, Record>;

/// One look at all pages; and whether it was one page only.
async fn look(cf: &Cf, zone: &ZoneId, which: &Which) -> Result<(Seen, bool), Error> {
    let size = cf.page();
    let (mut seen, mut rows, mut page) = (Seen::new(), 0, 1);
    loop {
        let list = ListRecords {
            zone,
            which: which.clone(),
            page,
            size,
        };
        let reply = cf.call(Act::List, &list).await?;
        let (count, total) = (reply.result.rows, reply.total);
        rows += count;
        for record in reply.result.records {
            seen.insert(record.id.to_string(), record);
        }
        if rows.max(total.unwrap_or_default()) > MOST {
            return Err(Error::Unsettled { act: Act::List });
        }
        // By what came, not by what was asked for: a page may be shorter than we like.
        if count == 0 || total.is_some_and(|total| rows >= total) {
            return Ok((seen, page == 1));
        }
        page += 1;
    }
}
