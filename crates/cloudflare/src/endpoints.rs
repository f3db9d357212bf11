//! The calls that we make, as endpoint specifications: method, path, query, body, and what the answer holds.

use cloudflare::framework::endpoint::spec::EndpointSpec;
use cloudflare::framework::endpoint::{Method, RequestBody};
use cloudflare::framework::response::{ApiResult, ApiSuccess};
use serde::Deserialize;
use serde_json::Value;

use crate::name::{Name, RecordId, ZoneId};
use crate::record::Record;

/// A token as it describes itself.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenFact {
    /// `active`, `disabled` or `expired`.
    pub status: String,
}

/// A zone as the API shows it; only what we use.
#[derive(Debug, Deserialize)]
pub(crate) struct ZoneFact {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub name_servers: Vec<String>,
}

/// Records of any form; those that have no id are left out.
#[derive(Debug)]
pub(crate) struct Records {
    /// The records.
    pub records: Vec<Record>,
    /// How many there were, those without an id included.
    pub rows: u64,
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let values = Vec::<Value>::deserialize(from)?;
        Ok(Self {
            records: values.iter().filter_map(Record::of).collect(),
            rows: values.len() as u64,
        })
    }
}

/// Zones.
#[derive(Debug, Deserialize)]
pub(crate) struct Zones(pub Vec<ZoneFact>);

/// Something that we do not look at.
#[derive(Debug)]
pub(crate) struct Nothing;

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(from).map(|_| Self)
    }
}

impl ApiResult for TokenFact {}
impl ApiResult for ZoneFact {}
impl ApiResult for Records {}
impl ApiResult for Zones {}
impl ApiResult for Record {}
impl ApiResult for Nothing {}

/// GET /user/tokens/verify
pub(crate) struct Verify;

impl EndpointSpec for Verify {
    type JsonResponse = TokenFact;
    type ResponseType = ApiSuccess<TokenFact>;

    fn method(&self) -> Method {
        Method::GET
    }

    fn path(&self) -> String {
        "user/tokens/verify".to_owned()
    }
}

/// GET /zones/{id}
pub(crate) struct GetZone<'a>(pub &'a ZoneId);

impl EndpointSpec for GetZone<'_> {
    type JsonResponse = ZoneFact;
    type ResponseType = ApiSuccess<ZoneFact>;

    fn method(&self) -> Method {
        Method::GET
    }

    fn path(&self) -> String {
        format!("zones/{}", self.0)
    }
}

/// GET /zones by name.
pub(crate) struct FindZone<'a>(pub &'a Name);

impl EndpointSpec for FindZone<'_> {
    type JsonResponse = Zones;
    type ResponseType = ApiSuccess<Zones>;

    fn method(&self) -> Method {
        Method::GET
    }

    fn path(&self) -> String {
        "zones".to_owned()
    }

    fn query(&self) -> Option<String> {
        // A name needs no escapes but for the star, which no zone has.
        Some(format!("name={}", self.0.as_str().replace('*', "%2A")))
    }
}

/// Which records a list holds.
#[derive(Debug, Clone)]
pub(crate) enum Which {
    /// All.
    All,
    /// Those whose comment begins so; Cloudflare does not look at the case.
    CommentStarts(String),
    /// Those of a name.
    Named(Name),
}

/// One page of the records of a zone, by name.
#[derive(Debug, Clone)]
pub(crate) struct ListRecords<'a> {
    pub zone: &'a ZoneId,
    pub which: Which,
    pub page: u32,
    pub size: u32,
}

impl EndpointSpec for ListRecords<'_> {
    type JsonResponse = Records;
    type ResponseType = ApiSuccess<Records>;

    fn method(&self) -> Method {
        Method::GET
    }

    fn path(&self) -> String {
        format!("zones/{}/dns_records", self.zone)
    }

    fn query(&self) -> Option<String> {
        let Self { page, size, .. } = self;
        let which = match &self.which {
            Which::All => String::new(),
            Which::CommentStarts(text) => {
                format!(
                    "&comment.startswith={}",
                    text.replace(' ', "%20").replace('=', "%3D")
                )
            }
            Which::Named(name) => format!("&name.exact={}", name.as_str().replace('*', "%2A")),
        };
        Some(format!(
            "order=name&direction=asc&page={page}&per_page={size}{which}"
        ))
    }
}

/// A record of a zone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    pub zone: &'a ZoneId,
    pub id: &'a RecordId,
}

impl At<'_> {
    fn path(self) -> String {
        format!("zones/{}/dns_records/{}", self.zone, self.id)
    }
}

/// GET of one record.
pub(crate) struct GetRecord<'a>(pub At<'a>);

impl EndpointSpec for GetRecord<'_> {
    type JsonResponse = Record;
    type ResponseType = ApiSuccess<Record>;

    fn method(&self) -> Method {
        Method::GET
    }

    fn path(&self) -> String {
        self.0.path()
    }
}

/// POST of a new record.
pub(crate) struct CreateRecord<'a> {
    pub zone: &'a ZoneId,
    pub body: Value,
}

impl EndpointSpec for CreateRecord<'_> {
    type JsonResponse = Record;
    type ResponseType = ApiSuccess<Record>;

    fn method(&self) -> Method {
        Method::POST
    }

    fn path(&self) -> String {
        format!("zones/{}/dns_records", self.zone)
    }

    fn body(&self) -> Option<RequestBody<'_>> {
        Some(RequestBody::Json(self.body.to_string()))
    }
}

/// PUT of all that a record says.
pub(crate) struct PutRecord<'a> {
    pub at: At<'a>,
    pub body: Value,
}

impl EndpointSpec for PutRecord<'_> {
    type JsonResponse = Record;
    type ResponseType = ApiSuccess<Record>;

    fn method(&self) -> Method {
        Method::PUT
    }

    fn path(&self) -> String {
        self.at.path()
    }

    fn body(&self) -> Option<RequestBody<'_>> {
        Some(RequestBody::Json(self.body.to_string()))
    }
}

/// DELETE of a record.
pub(crate) struct DeleteRecord<'a>(pub At<'a>);

impl EndpointSpec for DeleteRecord<'_> {
    type JsonResponse = Nothing;
    type ResponseType = ApiSuccess<Nothing>;

    fn method(&self) -> Method {
        Method::DELETE
    }

    fn path(&self) -> String {
        self.0.path()
    }
}
