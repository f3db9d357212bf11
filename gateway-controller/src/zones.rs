//! The zones that names are made in: the market's, from a file that is read and checked whole at start, and a
//! provider's own. Tokens never leave this module but inside a client.
//!
//! ```yaml
//! cloudflare: {endpoint: "https://…", caFile: /etc/…}     # both may be left out: Cloudflare, the system's authorities
//! resolver: 192.0.2.53:53                                # who knows the zones' servers; the system's without it
//! zones:
//! - name: example.org
//!   id: 0123456789abcdef0123456789abcdef
//!   tokenFile: /etc/decent/example.org.token
//!   sites: [gw.example.org]                              # gw. and the name without it: dcId.gw.example.org
//!   servers: ["192.0.2.1:53"]                            # asked for published records; without it, by the resolver
//! ```

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dc_cloudflare::{
    Access, AccessError, Budget, Cf, Endpoint, Name, NameError, Pace, SystemTimer, Token, Trust, ZoneId,
};
use gateway_core::reason::Reason;
use serde::Deserialize;

/// How long a call may wait for its turn within the budget; a longer wait is told instead.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// Records on a page of a list.
const PAGE: u32 = 1_000;
/// Providers' own zones that are kept open.
const OWN: usize = 1_000;
/// Label above the sites of a zone, where nothing else is configured.
const SITES: &str = "gw";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ZonesError {
    /// It, or a file that it names, cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not YAML of this form.
    #[error("failed to understand {path}: {text}")]
    Form {
        /// Which.
        path: PathBuf,
        /// Where and why.
        text: String,
    },
    /// A name or an identifier is none.
    #[error("failed to use {what} of zone {zone}")]
    Name {
        /// Which field.
        what: &'static str,
        /// The zone as it is written.
        zone: String,
        /// Why.
        #[source]
        source: NameError,
    },
    /// A token or an address is none.
    #[error("failed to use {what}")]
    Access {
        /// Of what.
        what: String,
        /// Why.
        #[source]
        source: AccessError,
    },
    /// Two entries are about one zone.
    #[error("zone {zone} is there twice")]
    Twice {
        /// The zone.
        zone: String,
    },
    /// Names for sites are not in their zone, or one is below another: a site there could speak for another's machines.
    #[error("sites of zone {zone} cannot be named below {name}")]
    Sites {
        /// The zone.
        zone: String,
        /// The name.
        name: Name,
    },
    /// Nobody says who the zones' servers are.
    #[error("no resolver: neither `resolver` nor {RESOLV_CONF} names one")]
    Resolver,
}

impl ZonesError {
    /// What a Gateway's condition says about a zone of its provider's that cannot be used.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Name { .. } => Reason::ZoneMissing,
            _ => Reason::TokenRejected,
        }
    }
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    cloudflare: Cloudflare,
    resolver: Option<SocketAddr>,
    /// The port of the zones' servers, where it is not that of DNS: in tests.
    server_port: Option<u16>,
    zones: Vec<Entry>,
}

/// How to reach Cloudflare.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Cloudflare {
    endpoint: Option<String>,
    ca_file: Option<PathBuf>,
}

/// A zone of the market.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    name: String,
    id: String,
    token_file: PathBuf,
    /// Sites are named one label below these: `gw.` and the zone's name, if nothing is given. Everything else in the zone
    /// is the market's.
    sites: Option<Vec<String>>,
    #[serde(default)]
    servers: Vec<SocketAddr>,
}

/// A zone that records can be written to.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name, where it is known without asking.
    pub name: Option<Name>,
    /// Its identifier.
    pub id: ZoneId,
    /// The client of its token.
    pub cf: Cf,
    /// Its servers, where they are stated.
    pub servers: Vec<SocketAddr>,
    /// Where sites are named; nothing in a provider's own zone, where every name is his.
    pub sites: Vec<Name>,
}

/// Every zone. Not shown: it holds tokens.
pub struct Zones {
    endpoint: Endpoint,
    trust: Trust,
    resolver: SocketAddr,
    server_port: Option<u16>,
    market: Vec<Zone>,
    own: Mutex<BTreeMap<(String, String), Zone>>,
}

fn read(path: &Path) -> Result<String, ZonesError> {
    fs::read_to_string(path).map_err(|source| ZonesError::Read {
        path: path.to_owned(),
        source,
    })
}

impl Zones {
    /// Reads the file and everything that it names.
    ///
    /// # Errors
    /// The first thing that cannot be used.
    pub fn read(path: &Path) -> Result<Self, ZonesError> {
        let file: File = serde_saphyr::from_str(&read(path)?).map_err(|error| ZonesError::Form {
            path: path.to_owned(),
            text: error.to_string(),
        })?;
        let File {
            cloudflare: Cloudflare { endpoint, ca_file },
            resolver,
            server_port,
            zones,
        } = file;
        let endpoint = endpoint.as_deref().unwrap_or(Endpoint::PRODUCTION);
        let endpoint: Endpoint = endpoint.parse().map_err(|source| ZonesError::Access {
            what: "cloudflare.endpoint".to_owned(),
            source,
        })?;
        let trust = match ca_file {
            Some(path) => Trust::Ca(read(&path)?),
            None => Trust::System,
        };
        let resolver = resolver.or_else(system_resolver).ok_or(ZonesError::Resolver)?;
        // The market's tokens are of one account: its calls share one budget.
        let budget = budget();
        let mut market: Vec<Zone> = Vec::new();
        for entry in zones {
            let zone = entry.open(&endpoint, &trust, &budget)?;
            if market.iter().any(|other| other.name == zone.name) {
                return Err(ZonesError::Twice {
                    zone: zone.name.map(|name| name.to_string()).unwrap_or_default(),
                });
            }
            market.push(zone);
        }
        apart(&market)?;
        Ok(Self {
            endpoint,
            trust,
            resolver,
            server_port,
            market,
            own: Mutex::default(),
        })
    }

    /// The market's zone that has a site of this name.
    #[must_use]
    pub fn market(&self, site: &Name) -> Option<Zone> {
        let (_, above) = site.as_str().split_once('.')?;
        let fits = |zone: &&Zone| zone.sites.iter().any(|name| name.as_str() == above);
        self.market.iter().find(fits).cloned()
    }

    /// The market's zone that a name is in, whether it may be a site's or not: the longest, of several.
    #[must_use]
    pub fn around(&self, name: &Name) -> Option<&Zone> {
        let zones = self
            .market
            .iter()
            .filter(|zone| zone.name.as_ref().is_some_and(|top| name.within(top)));
        zones.max_by_key(|zone| zone.name.as_ref().map(|name| name.as_str().len()))
    }

    /// A provider's own zone. One token has one client, so that its budget is kept.
    ///
    /// # Errors
    /// The identifier or the token is none.
    pub fn own(&self, id: &str, token: &str) -> Result<Zone, ZonesError> {
        let key = (id.to_owned(), token.trim().to_owned());
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = own.get(&key) {
            return Ok(zone.clone());
        }
        let known = own.iter().find(|((_, other), _)| *other == key.1);
        let cf = match known {
            Some((_, zone)) => zone.cf.clone(),
            None => client((&self.endpoint, &self.trust), token, budget()).map_err(|source| {
                ZonesError::Access {
                    what: "the zone's token".to_owned(),
                    source,
                }
            })?,
        };
        let zone = Zone {
            name: None,
            id: id.parse().map_err(|source| ZonesError::Name {
                what: "the identifier",
                zone: id.chars().take(64).collect(),
                source,
            })?,
            cf,
            servers: Vec::new(),
            sites: Vec::new(),
        };
        if own.len() >= OWN {
            own.clear();
        }
        own.insert(key, zone.clone());
        Ok(zone)
    }

    /// Keeps the name of a provider's own zone: it is asked for once.
    pub fn named(&self, (id, token): (&str, &str), name: &Name) {
        let key = (id.to_owned(), token.trim().to_owned());
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = own.get_mut(&key) {
            zone.name = Some(name.clone());
        }
    }

    /// Who knows the servers of a zone, and their port if it is an odd one.
    #[must_use]
    pub const fn resolver(&self) -> (SocketAddr, Option<u16>) {
        (self.resolver, self.server_port)
    }
}

impl Entry {
    fn open(self, endpoint: &Endpoint, trust: &Trust, budget: &Budget) -> Result<Zone, ZonesError> {
        let Self {
            name,
            id,
            token_file,
            sites,
            servers,
        } = self;
        let wrong = |what| {
            let zone = name.clone();
            move |source| ZonesError::Name { what, zone, source }
        };
        let token = read(&token_file)?;
        let cf = client((endpoint, trust), &token, budget.clone()).map_err(|source| ZonesError::Access {
            what: token_file.display().to_string(),
            source,
        })?;
        let parsed = name.parse().map_err(wrong("the name"))?;
        let sites = sites.unwrap_or_else(|| vec![format!("{SITES}.{parsed}")]);
        let sites = sites.iter().map(|site| site.parse()).collect::<Result<_, _>>();
        Ok(Zone {
            sites: sites.map_err(wrong("a name for sites"))?,
            name: Some(parsed),
            id: id.parse().map_err(wrong("the id"))?,
            cf,
            servers,
        })
    }
}

/// No name for sites is below another, and each is in its zone.
fn apart(zones: &[Zone]) -> Result<(), ZonesError> {
    let all = || {
        zones
            .iter()
            .flat_map(|zone| zone.sites.iter().map(move |name| (zone, name)))
    };
    for (place, (zone, name)) in all().enumerate() {
        let inside = zone.name.as_ref().is_some_and(|top| name.within(top));
        let below = |(other, (_, top)): (usize, (&Zone, &Name))| other != place && name.within(top);
        if !inside || all().enumerate().any(below) {
            return Err(ZonesError::Sites {
                zone: zone.name.as_ref().map(ToString::to_string).unwrap_or_default(),
                name: name.clone(),
            });
        }
    }
    Ok(())
}

fn budget() -> Budget {
    Budget::new(Pace::default(), PATIENCE, Arc::new(SystemTimer::new()))
}

fn client((endpoint, trust): (&Endpoint, &Trust), token: &str, budget: Budget) -> Result<Cf, AccessError> {
    let access = Access {
        endpoint: endpoint.clone(),
        token: token.parse::<Token>()?,
        trust: trust.clone(),
        deadline: DEADLINE,
        page: PAGE,
    };
    Cf::new(&access, budget)
}

/// The first resolver of the machine.
fn system_resolver() -> Option<SocketAddr> {
    let text = fs::read_to_string(RESOLV_CONF).ok()?;
    let addresses = text
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok());
    addresses.map(|address| SocketAddr::new(address, 53)).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed in the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("zones-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("token"), "a-token-of-forty-characters-0123456789012\n").unwrap();
            Self(path)
        }

        fn zones(&self, text: &str) -> Result<Zones, ZonesError> {
            let file = self.0.join("zones.yaml");
            let token = self.0.join("token").display().to_string();
            fs::write(&file, text.replace("TOKEN", &token)).unwrap();
            Zones::read(&file)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn sites_are_named_where_the_market_says_and_nowhere_else() {
        kit::tls::install();
        let folder = Folder::new("longest");
        let text = format!(
            "resolver: 127.0.0.1:53\nzones:\n- {{name: example.org, id: {ID}, tokenFile: TOKEN}}\n\
             - {{name: eu.example.org, id: {}, tokenFile: TOKEN, servers: ['127.0.0.1:5300'], sites: [sites.eu.example.org]}}\n",
            ID.replace('0', "f")
        );
        let zones = folder.zones(&text).unwrap();
        let of = |name: &str| {
            zones
                .market(&name.parse().unwrap())
                .map(|zone| zone.name.unwrap().to_string())
        };
        assert_eq!(of("ams1.sites.eu.example.org").as_deref(), Some("eu.example.org"));
        assert_eq!(of("ams1.gw.example.org").as_deref(), Some("example.org"));
        for name in [
            "ams1.gw.notexample.org",
            "www.example.org",
            "ams1.gw.eu.example.org",
            "slug.ams1.gw.example.org",
            "gw.example.org",
        ] {
            assert_eq!(of(name), None, "{name}");
        }
        let around = |name: &str| {
            zones
                .around(&name.parse().unwrap())
                .and_then(|zone| zone.name.clone())
        };
        assert_eq!(around("www.eu.example.org").unwrap().as_str(), "eu.example.org");
        assert_eq!(around("example.com"), None);
    }

    #[test]
    fn what_cannot_be_used_is_refused_at_the_start_and_no_token_is_shown() {
        kit::tls::install();
        let folder = Folder::new("refused");
        let zone = |rest: &str| format!("resolver: 127.0.0.1:53\nzones:\n- {{name: example.org, {rest}}}\n");
        let cases = [
            "zones: 7".to_owned(),
            "zones: []\nzone: x".to_owned(),
            zone("id: nothing, tokenFile: TOKEN"),
            zone(&format!("id: {ID}, tokenFile: /nowhere/token")),
            zone(&format!("id: {ID}, tokenFile: TOKEN, sites: [gw.example.com]")),
            zone(&format!(
                "id: {ID}, tokenFile: TOKEN, sites: [gw.example.org, x.gw.example.org]"
            )),
            "cloudflare: {endpoint: 'http://192.0.2.1/'}\nzones: []".to_owned(),
            format!(
                "resolver: 127.0.0.1:53\nzones:\n- {{name: a.org, id: {ID}, tokenFile: TOKEN}}\n\
                 - {{name: a.org, id: {ID}, tokenFile: TOKEN}}"
            ),
        ];
        for text in cases {
            let error = kit::chain(&folder.zones(&text).err().unwrap());
            assert!(!error.contains("a-token-of"), "{error}");
        }
        fs::write(folder.0.join("token"), "two words").unwrap();
        assert!(
            folder
                .zones(&zone(&format!("id: {ID}, tokenFile: TOKEN")))
                .is_err()
        );
    }
}
