//! Statuses with every field set, as a first write may set them.

use serde_json::{Value, json};

use super::samples::{AT, UID};

/// Every field set.
pub fn status(kind: &str) -> Value {
    let mut status = match kind {
        "Account" => json!({ "contracts": 1 }),
        "Contract" => contract(),
        "Gateway" => json!({
            "fqdn": "ams1.gw.example.org", "capacity": 4000, "used": 1, "slotsInUse": true,
            "identity": UID, "recordsUnder": ["ams1.gw.example.org"], "challengesPublished": ["x"],
            "agent": {
                "version": "0.1.0", "applied": 1, "enrolment": { "host": UID, "identity": UID },
                "challenges": ["x"], "certificate": { "notAfter": AT }, "routes": 1,
                "findings": [{ "check": "clock", "severity": "Warning", "message": "it is 2 s off" }],
            },
        }),
        "Machine" => machine(),
        "Offering" => json!({ "available": 7, "activeContracts": 1 }),
        "Pool" => json!({
            "version": "9.0.3", "slotsInUse": true, "orphans": ["10001 on pve1", "10002 on pve1"], "fingerprint": "A1",
            "nodes": [{
                "name": "pve1", "online": true, "freeCpu": 3, "freeMemory": "4Gi", "freeDisk": "10Gi", "machines": 1,
            }],
        }),
        "Provider" => json!({ "pools": { "total": 2, "ready": 1 } }),
        _ => slot(),
    };
    if kind != "Slot" {
        status["observedGeneration"] = json!(1);
    }
    status["conditions"] = json!([condition("Ready", "True")]);
    status
}

/// A condition.
pub fn condition(about: &str, status: &str) -> Value {
    json!({
        "type": about, "status": status, "observedGeneration": 1, "lastTransitionTime": AT,
        "reason": "Settled", "message": "All is well.",
    })
}

fn waiting() -> Value {
    json!({
        "reason": "WaitingForCapacity", "actor": "Nobody", "since": AT, "deadline": AT, "nextStep": "Wait.",
        "position": 1,
    })
}

fn contract() -> Value {
    json!({
        "state": "Accepted",
        "id": "0a".repeat(32),
        "price": { "amountE9s": 12_500_000_000_i64, "currency": "USD" },
        "startsAt": AT,
        "endsAt": AT,
        "machineRef": { "namespace": "acme", "name": "m-1" },
        "connection": {
            "host": "abc123.ams1.gw.example.org", "sshPort": 20000, "user": "root",
            "ports": [{ "public": 20001, "internal": 10001, "protocol": "TCP" }],
            "url": "https://abc123.ams1.gw.example.org", "knownHosts": "[abc]:20000 ssh-ed25519 AAAA",
        },
        "waiting": waiting(),
    })
}

fn machine() -> Value {
    json!({
        "decision": "Accepted",
        "decisionMessage": "welcome",
        "slot": "ams1-0",
        "task": { "upid": "UPID:pve1:0", "kind": "Clone", "startedAt": AT },
        "vm": { "vmid": 10000, "node": "pve1", "power": "Running" },
        "waiting": waiting(),
        "lastError": { "class": "Locked", "reason": "Locked", "text": "got timeout" },
        "phaseTimes": [{ "phase": "Claimed", "at": AT }],
        "restarts": [AT],
        "ended": { "outcome": "Abandoned", "at": AT, "reason": "the provider is gone" },
    })
}

fn slot() -> Value {
    json!({
        "phase": "Releasing",
        "release": { "cause": "Teardown", "at": AT, "by": "m-1" },
        "restingSince": AT,
        "route": {
            "programmed": true, "probedAt": AT, "banner": "SSH-2.0-x", "hostKeys": ["ssh-ed25519 AAAA"],
            "removedAt": AT,
        },
    })
}
