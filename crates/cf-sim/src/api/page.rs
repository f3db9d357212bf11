//! Pages of a list.

use serde_json::{Value, json};

use super::call::Query;
use super::envelope::Answer;
use crate::model::refusal::Refusal;

/// Which page, of which size.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    number: usize,
    size: usize,
}

impl Page {
    /// The page that a query asks for; `sizes` is the least, the usual and the largest.
    pub fn of(query: &Query, (least, usual, most): (usize, usize, usize)) -> Result<Self, Refusal> {
        let number = number(query, "page", 1)?;
        let size = number_of(query, "per_page", usual, least..=most)?;
        Ok(Self { number, size })
    }

    /// One page of a list.
    pub fn cut(self, all: &[Value]) -> Answer {
        let (total, size) = (all.len(), self.size);
        let begin = (self.number - 1).saturating_mul(size).min(total);
        let end = begin.saturating_add(size).min(total);
        let page = all.get(begin..end).unwrap_or_default();
        let info = json!({
            "page": self.number, "per_page": size, "count": page.len(), "total_count": total,
            "total_pages": total.div_ceil(size),
        });
        Answer::with(Value::from(page.to_vec()), &[("result_info", info)])
    }
}

fn number(query: &Query, name: &str, usual: usize) -> Result<usize, Refusal> {
    number_of(query, name, usual, 1..=usize::MAX)
}

fn number_of(
    query: &Query,
    name: &str,
    usual: usize,
    within: std::ops::RangeInclusive<usize>,
) -> Result<usize, Refusal> {
    let Some(text) = query.get(name) else {
        return Ok(usual);
    };
    let number = text.parse().ok().filter(|number| within.contains(number));
    number.ok_or_else(|| Refusal::parameter(name))
}
