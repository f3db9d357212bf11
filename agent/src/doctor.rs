//! Learns of this host what the doctor judges. Owns where each fact is found; must not judge, and changes nothing.

mod proc;

use std::time::Duration;

use agent_core::doctor::{Asked, Fact, Facts, HubFacts};
use agent_core::nft::{Elements, LinkName, TABLE, Transaction, rehearsal};
use agent_core::site::Site;
use agent_core::{certificate, snapshot};
use kit::clock::Clock;
use serde::Deserialize;

use crate::caddy::Caddy;
use crate::certificate::Store;
use crate::command::{find, run};
use crate::config::Config;
use crate::files;
use crate::host::{self, Address};
use crate::nft::Nft;

const LIMIT: Duration = Duration::from_secs(10);
/// Programs that the agent runs, with the package that has them, as Debian calls it.
const PROGRAMS: &[(&str, &str)] = &[
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("ssh-keyscan", "openssh-client"),
];

/// All facts of this host. What only the hub's part knows comes from there.
pub async fn gather(config: &Config, clock: &impl Clock, hub: Option<HubFacts>) -> Facts {
    let site = site(config);
    let addresses = text(host::addresses().await);
    let lan = lan(config, site.as_ref(), &addresses);
    let foreign_sites = match Caddy::new(&config.web.admin) {
        Ok(caddy) => text(caddy.foreign().await),
        Err(error) => Err(kit::chain(&error)),
    };
    let link = lan.as_ref().ok().map(LinkName::as_str);
    Facts {
        now: clock.now(),
        asked: site.as_ref().map(asked),
        absent_programs: PROGRAMS
            .iter()
            .copied()
            .filter(|(program, _)| find(program).is_none())
            .collect(),
        nftables: text(
            Nft::default()
                .check(&Transaction::replace(&rehearsal(), Elements::default()))
                .await,
        ),
        forwarding: proc::setting("net/ipv4/ip_forward").map(|value: u8| value == 1),
        dropping: dropping().await,
        reverse_path: proc::reverse_path(link),
        ipv6_off: proc::ipv6_off(link),
        lan,
        addresses: addresses.map(|all| all.into_iter().map(|own| own.address).collect()),
        listeners: proc::listeners(),
        local_ports: proc::local_ports(),
        reserved_ports: proc::reserved_ports(),
        conntrack_max: proc::setting("net/netfilter/nf_conntrack_max"),
        caddy: version(&config.web.program).await,
        foreign_sites,
        clock_synchronised: synchronised().await,
        certificate: text(Store::new(&config.state, None).load())
            .map(|stored| stored.map(|stored| stored.held)),
        hub,
    }
}

fn text<T, E: std::error::Error + 'static>(result: Result<T, E>) -> Fact<T> {
    result.map_err(|error| kit::chain(&error))
}

/// The site that was served last, if its snapshot can be used. Unlike a start, this leaves the file where it is.
fn site(config: &Config) -> Option<Site> {
    let max = u64::try_from(snapshot::MAX_BYTES).unwrap_or(u64::MAX);
    let bytes = files::read(&config.state.join("snapshot.json"), max).ok()??;
    snapshot::decode(&bytes).ok().map(|(site, _)| site)
}

fn asked(site: &Site) -> Asked {
    let facts = site.facts();
    Asked {
        public: facts.public.clone(),
        gateway: facts.gateway,
        ports: (facts.first_port, facts.last_port),
        capacity: site.plan().capacity(),
        wildcard: facts.acme.as_ref().map(|_| certificate::wildcard(site.fqdn())),
    }
}

fn lan(config: &Config, site: Option<&Site>, addresses: &Fact<Vec<Address>>) -> Fact<LinkName> {
    match (&config.lan, site, addresses) {
        (Some(link), ..) => Ok(link.clone()),
        (None, Some(site), Ok(addresses)) => text(host::lan(addresses, site.facts().gateway)),
        (None, None, _) => Err("no Gateway was served yet, and --lan is not given".to_owned()),
        (None, Some(_), Err(why)) => Err(why.clone()),
    }
}

#[derive(Deserialize)]
struct Chains {
    nftables: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    chain: Option<Chain>,
}

#[derive(Deserialize)]
struct Chain {
    family: String,
    table: String,
    name: String,
    hook: Option<String>,
    policy: Option<String>,
}

/// Others' chains that drop forwarded packets unless a rule accepts them.
async fn dropping() -> Fact<Vec<String>> {
    let json = text(run("nft", &["-j", "list", "chains"], b"", LIMIT).await)?;
    let chains: Chains = text(serde_json::from_slice(&json))?;
    let drops = |chain: &Chain| {
        let ours = chain.family == "ip" && chain.table == TABLE;
        let ip = matches!(chain.family.as_str(), "ip" | "inet");
        !ours && ip && chain.hook.as_deref() == Some("forward") && chain.policy.as_deref() == Some("drop")
    };
    let chains = chains
        .nftables
        .into_iter()
        .filter_map(|item| item.chain)
        .filter(drops);
    Ok(chains
        .map(
            |Chain {
                 family, table, name, ..
             }| format!("{family} {table} {name}"),
        )
        .collect())
}

/// The web server's version: the first word that it says, `v2.11.7`.
async fn version(program: &str) -> Fact<String> {
    let said = text(run(program, &["version"], b"", LIMIT).await)?;
    let said = String::from_utf8_lossy(&said).into_owned();
    said.split_whitespace()
        .next()
        .map(str::to_owned)
        .ok_or_else(|| "it does not say its version".to_owned())
}

async fn synchronised() -> Fact<bool> {
    let asked = run(
        "timedatectl",
        &["show", "--property=NTPSynchronized", "--value"],
        b"",
        LIMIT,
    )
    .await;
    text(asked).map(|said| said.starts_with(b"yes"))
}
