//! Many guests, made as a client makes them: cloned into the pool, then configured.

use std::ops::Range;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;

use crate::bench::caller::Caller;
use crate::bench::objects;
use crate::bench::sim::Facts;

/// The VMID of the first guest.
const FIRST: u32 = 100_000;
/// Requests at once.
const ASKING: usize = 16;

/// Where the configuration of a guest is.
pub fn config_path(facts: &Facts, number: u32) -> Result<String> {
    let (node, _) = place(facts, number)?;
    Ok(format!("/nodes/{node}/qemu/{}/config", FIRST + number))
}

/// Guests go round the nodes, since each node has its own template.
fn place(facts: &Facts, number: u32) -> Result<(&str, u32)> {
    let nodes = facts.templates.len().max(1);
    let found = facts.templates.iter().nth(number as usize % nodes);
    let (node, template) = found.context("the simulator has no node")?;
    Ok((node, *template))
}

/// Makes the guests of these numbers.
///
/// # Errors
/// The first call that is refused.
pub async fn make(caller: &Caller, facts: &Facts, numbers: Range<u32>) -> Result<()> {
    let made = stream::iter(numbers).map(|number| one(caller, facts, number));
    made.buffer_unordered(ASKING).try_collect::<()>().await
}

async fn one(caller: &Caller, facts: &Facts, number: u32) -> Result<()> {
    let (node, template) = place(facts, number)?;
    let (vmid, name) = ((FIRST + number).to_string(), format!("bench-{number}"));
    let description = format!("decent-cloud.org/v1 hub={name} machine={name} slot={name}");
    let clone = [
        ("newid", vmid.as_str()),
        ("name", &name),
        ("pool", &facts.pool),
        ("full", "0"),
        ("description", &description),
    ];
    let path = format!("/nodes/{node}/qemu/{template}/clone");
    caller.call(Method::POST, &path, &clone).await?;
    let address = format!(
        "ip=10.64.{}.{}/16,gw=10.64.0.1",
        number / 200 % 256,
        10 + number % 200
    );
    let key = objects::encoded_key();
    let settings = [
        ("cores", "1"),
        ("memory", "512"),
        ("net0", "virtio=02:00:00:00:00:01,bridge=vmbr1,firewall=1"),
        ("ipconfig0", &address),
        ("sshkeys", &key),
        ("protection", "1"),
    ];
    caller
        .call(Method::PUT, &config_path(facts, number)?, &settings)
        .await
        .map(drop)
}
