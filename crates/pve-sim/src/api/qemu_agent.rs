//! The guest agent, as a guest that obeys its cloud-init answers. No program runs.

use std::net::Ipv6Addr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::vm::{Power, Vm};

use super::call::Call;
use super::reply::{Answer, Fault, Reply};

/// How long a call waits for an agent that does not answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// A guest's system is up after so many times what its start took.
const BOOT: u32 = 9;

/// The guest, if its agent answers.
fn agent<'a>(call: &'a Call<'_>) -> Result<&'a Vm, Fault> {
    let vm = call.vm()?;
    let Power::Running { since, .. } = vm.power else {
        return Err(Fault::died(format!("VM {} is not running", vm.vmid)));
    };
    let silent = || Fault::died("QEMU guest agent is not running");
    let agent = vm.config.get("agent").unwrap_or_default();
    if !agent.split(',').any(|part| matches!(part, "1" | "enabled=1")) {
        return Err(silent());
    }
    if vm.paused || call.world.now.since(since) < call.world.durations.start.most() * BOOT {
        return Err(silent().held(PATIENCE));
    }
    Ok(vm)
}

fn result(value: &Value) -> Reply {
    Answer::of(json!({"result": value}))
}

/// POST …/agent/ping
pub fn ping(call: &mut Call<'_>) -> Reply {
    agent(call)?;
    result(&json!({}))
}

/// GET …/agent/get-osinfo
pub fn osinfo(call: &mut Call<'_>) -> Reply {
    agent(call)?;
    result(&json!({
        "kernel-release": "6.12.117+deb13-cloud-amd64", "machine": "x86_64",
        "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1 (2026-11-12)",
    }))
}

/// GET …/agent/get-host-name
pub fn host_name(call: &mut Call<'_>) -> Reply {
    let name = agent(call)?.name();
    result(&json!({"host-name": name}))
}

/// POST …/agent/exec: nothing is run.
pub fn exec(call: &mut Call<'_>) -> Reply {
    agent(call)?;
    let pid = call.world.dice.between(200, 30_000);
    Answer::of(json!({"pid": pid}))
}

/// GET …/agent/exec-status
pub fn exec_status(call: &mut Call<'_>) -> Reply {
    agent(call)?;
    Answer::of(json!({"exited": 1, "exitcode": 0, "out-data": "\n", "out-truncated": 0}))
}

/// GET …/agent/network-get-interfaces
pub fn interfaces(call: &mut Call<'_>) -> Reply {
    let vm = agent(call)?;
    let mut list = vec![interface(
        "lo",
        "00:00:00:00:00:00",
        &[address("127.0.0.1/8"), address("::1/128")],
    )];
    for (index, mac) in vm.config.cards() {
        let ipconfig = vm.config.get(&format!("ipconfig{index}")).unwrap_or_default();
        let parts = ipconfig.split(',').filter_map(|part| part.split_once('='));
        let fixed = parts.filter(|(key, value)| matches!(*key, "ip" | "ip6") && value.contains('/'));
        let mut addresses: Vec<Value> = fixed.map(|(_, cidr)| address(cidr)).collect();
        addresses.extend(link_local(&mac).map(|own| address(&format!("{own}/64"))));
        list.push(interface(&format!("eth{index}"), &mac, &addresses));
    }
    result(&Value::from(list))
}

fn interface(name: &str, mac: &str, addresses: &[Value]) -> Value {
    json!({
        "name": name, "hardware-address": mac, "ip-addresses": addresses,
        "statistics": {
            "rx-bytes": 0, "rx-packets": 0, "rx-errs": 0, "rx-dropped": 0, "tx-bytes": 0, "tx-packets": 0, "tx-errs": 0,
            "tx-dropped": 0,
        },
    })
}

fn address(cidr: &str) -> Value {
    let (address, bits) = cidr.split_once('/').unwrap_or((cidr, "32"));
    let kind = if address.contains(':') { "ipv6" } else { "ipv4" };
    json!({"ip-address": address, "ip-address-type": kind, "prefix": bits.parse::<u8>().unwrap_or(32)})
}

/// The address that a card gives itself: its own with ff:fe in the middle and one bit turned.
fn link_local(mac: &str) -> Option<Ipv6Addr> {
    let bytes = mac.split(':').map(|part| u8::from_str_radix(part, 16).ok());
    let mac: [u8; 6] = bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()?;
    let [first, vendor @ .., x, y, z] = mac;
    let [second, third] = vendor;
    let host = [first ^ 2, second, third, 0xff, 0xfe, x, y, z];
    let bits = (0xfe80_u128 << 112) | u128::from(u64::from_be_bytes(host));
    Some(Ipv6Addr::from(bits))
}
