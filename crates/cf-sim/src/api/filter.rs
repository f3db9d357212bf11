//! Which records a list holds, and in what order.

use std::cmp::Ordering;

use super::call::Query;
use crate::model::record::Record;
use crate::model::refusal::Refusal;

/// How a text is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Exact,
    Contains,
    Starts,
    Ends,
}

/// Which value a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Name,
    Content,
    Comment,
}

/// One condition.
#[derive(Debug, Clone)]
enum Condition {
    Kind(String),
    Proxied(bool),
    Text(What, How, String),
    HasComment(bool),
    Tag(String),
    Search(String),
}

/// Which records a list holds.
#[derive(Debug, Clone)]
pub struct Filter {
    conditions: Vec<Condition>,
    any: bool,
}

const WHATS: [(&str, What); 3] = [
    ("name", What::Name),
    ("content", What::Content),
    ("comment", What::Comment),
];
const HOWS: [(&str, How); 5] = [
    ("", How::Exact),
    (".exact", How::Exact),
    (".contains", How::Contains),
    (".startswith", How::Starts),
    (".endswith", How::Ends),
];

impl Filter {
    /// The conditions of a query.
    pub fn of(query: &Query) -> Result<Self, Refusal> {
        let any = match query.get("match") {
            None | Some("all") => false,
            Some("any") => true,
            Some(_) => return Err(Refusal::parameter("match")),
        };
        let mut conditions = Vec::new();
        for (name, what) in WHATS {
            for (suffix, how) in HOWS {
                let given = query.get(&format!("{name}{suffix}"));
                conditions.extend(given.map(|text| Condition::Text(what, how, text.to_lowercase())));
            }
        }
        let given = |name: &str| query.get(name).map(str::to_owned);
        conditions.extend(given("type").map(|kind| Condition::Kind(kind.to_ascii_uppercase())));
        conditions.extend(given("comment.present").map(|_| Condition::HasComment(true)));
        conditions.extend(given("comment.absent").map(|_| Condition::HasComment(false)));
        let tag = given("tag")
            .or_else(|| given("tag.exact"))
            .or_else(|| given("tag.present"));
        conditions.extend(tag.map(Condition::Tag));
        conditions.extend(given("search").map(|text| Condition::Search(text.to_lowercase())));
        conditions.extend(match query.get("proxied") {
            None => None,
            Some("true") => Some(Condition::Proxied(true)),
            Some("false") => Some(Condition::Proxied(false)),
            Some(_) => return Err(Refusal::parameter("proxied")),
        });
        Ok(Self { conditions, any })
    }

    /// Whether a record is in the list.
    pub fn fits(&self, record: &Record) -> bool {
        let mut each = self.conditions.iter().map(|condition| condition.holds(record));
        if self.any && !self.conditions.is_empty() {
            each.any(|holds| holds)
        } else {
            each.all(|holds| holds)
        }
    }
}

impl Condition {
    fn holds(&self, record: &Record) -> bool {
        let fields = &record.fields;
        let comment = fields.comment.as_deref();
        match self {
            Self::Kind(kind) => fields.kind == *kind,
            Self::Proxied(wanted) => fields.proxied == *wanted,
            Self::HasComment(wanted) => comment.is_some() == *wanted,
            Self::Tag(tag) => {
                let named = |one: &String| one == tag || one.split(':').next() == Some(tag);
                fields.tags.iter().any(named)
            }
            Self::Search(text) => {
                let all = [Some(fields.name.as_str()), Some(&fields.content), comment];
                all.into_iter()
                    .flatten()
                    .any(|one| one.to_lowercase().contains(text))
            }
            Self::Text(what, how, text) => {
                let value = match what {
                    What::Name => Some(fields.name.as_str()),
                    What::Content => Some(fields.content.as_str()),
                    What::Comment => comment,
                };
                value.is_some_and(|value| how.fits(&value.to_lowercase(), text))
            }
        }
    }
}

impl How {
    fn fits(self, value: &str, text: &str) -> bool {
        match self {
            Self::Exact => value == text,
            Self::Contains => value.contains(text),
            Self::Starts => value.starts_with(text),
            Self::Ends => value.ends_with(text),
        }
    }
}

/// By what a list is ordered.
#[derive(Debug, Clone, Copy)]
enum By {
    Kind,
    Name,
    Content,
    Ttl,
    Proxied,
}

/// The order of a list.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    by: By,
    falling: bool,
}

impl Order {
    /// The order that a query asks for; by type if it asks for none.
    pub fn of(query: &Query) -> Result<Self, Refusal> {
        let by = match query.get("order") {
            None | Some("type") => By::Kind,
            Some("name") => By::Name,
            Some("content") => By::Content,
            Some("ttl") => By::Ttl,
            Some("proxied") => By::Proxied,
            Some(_) => return Err(Refusal::parameter("order")),
        };
        let falling = match query.get("direction") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(Refusal::parameter("direction")),
        };
        Ok(Self { by, falling })
    }

    /// Which of two comes first; what is alike is ordered by name and id.
    pub fn compare(self, a: &Record, b: &Record) -> Ordering {
        let (x, y) = (&a.fields, &b.fields);
        let first = match self.by {
            By::Kind => x.kind.cmp(&y.kind),
            By::Name => x.name.cmp(&y.name),
            By::Content => x.content.cmp(&y.content),
            By::Ttl => x.ttl.cmp(&y.ttl),
            By::Proxied => x.proxied.cmp(&y.proxied),
        };
        let order = first
            .then_with(|| x.name.cmp(&y.name))
            .then_with(|| a.id.cmp(&b.id));
        if self.falling { order.reverse() } else { order }
    }
}
