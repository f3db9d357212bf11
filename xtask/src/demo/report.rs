//! The result: a table for people, one JSON object for programs.

use std::process::ExitCode;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::follow::{Rented, World};
use super::lines::{Told, holds};
use super::screen::Screen;
use super::site::Writes;

/// One Contract at the end.
struct Row {
    name: String,
    state: String,
    provisioned: bool,
    offering: String,
    node: String,
    vmid: i32,
    ip: String,
    seconds: f64,
}

/// What came of the demo.
pub struct Report {
    rows: Vec<Row>,
    writes: Writes,
    deviations: Vec<String>,
}

impl Report {
    /// `writes` since the Contracts were made; `deviations` from what was asked.
    pub fn new(world: &World, rented: &[Rented], writes: Writes, deviations: Vec<String>) -> Self {
        Self {
            rows: rented.iter().filter_map(|one| row(world, one)).collect(),
            writes,
            deviations,
        }
    }

    /// Whether every machine is what was asked.
    pub fn ok(&self) -> bool {
        self.deviations.is_empty() && !self.rows.is_empty() && self.rows.iter().all(|row| row.provisioned)
    }

    /// Says it, and gives the exit code.
    pub fn tell(&self, screen: &Screen) -> ExitCode {
        screen.line(&self.table());
        if self.ok() {
            screen.done(
                "proof",
                "running under our stamp with the asked cores, memory, disk, address and keys",
            );
            let (per, beside) = (self.per_contract(), self.writes.beside);
            let says =
                format!("{per} per contract (Contract, Machine, Slot), {beside} to what contracts share");
            screen.done("API writes", &says);
            return ExitCode::SUCCESS;
        }
        screen.wrong("the machine is not what was asked");
        for deviation in &self.deviations {
            screen.line(&format!("  {deviation}"));
        }
        ExitCode::FAILURE
    }

    /// As `--json` has it.
    pub fn json(&self) -> Value {
        let contracts: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let mut result = json!({ "contracts": contracts, "api_writes_per_contract": self.per_contract(), "ok": self.ok() });
        if !self.deviations.is_empty() {
            result["error"] = json!(self.deviations.join("; "));
        }
        result
    }

    /// Rounded up: half a write is none saved.
    fn per_contract(&self) -> usize {
        self.writes.own.div_ceil(self.rows.len().max(1))
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([
            "CONTRACT", "STATE", "OFFERING", "NODE", "VMID", "ADDRESS", "SECONDS",
        ]);
        for row in &self.rows {
            let Row {
                name,
                state,
                offering,
                node,
                vmid,
                ip,
                seconds,
                provisioned: _,
            } = row;
            table.add_row([
                name,
                state,
                offering,
                node,
                &vmid.to_string(),
                ip,
                &format!("{seconds:.1}"),
            ]);
        }
        let text = table.to_string();
        text.lines()
            .map(|line| format!(" {}", line.trim_end()))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Row {
    fn json(&self) -> Value {
        let Self {
            name,
            state,
            provisioned,
            offering: _,
            node,
            vmid,
            ip,
            seconds,
        } = self;
        let seconds = (seconds * 1000.0).round() / 1000.0;
        json!({
            "name": name, "state": state, "provisioned": provisioned, "vmid": vmid, "node": node, "ip": ip,
            "seconds": seconds,
        })
    }
}

fn row(world: &World, rented: &Rented) -> Option<Row> {
    let contract = world.contracts.get(&rented.key)?;
    let slot = &world.slot(contract)?.spec;
    let named = &contract.spec.offering_ref;
    Some(Row {
        name: rented.key.1.clone(),
        state: contract.status.as_ref()?.state.to_string(),
        provisioned: holds(contract.conditions(), "Provisioned"),
        offering: format!("{}/{}", named.namespace, named.name),
        node: slot.node.to_string(),
        vmid: slot.vmid,
        ip: slot.address.clone(),
        seconds: rented.seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(deviations: Vec<String>) -> Report {
        let row = Row {
            name: "web".into(),
            state: "provisioning".into(),
            provisioned: true,
            offering: "provider-acme/small".into(),
            node: "pve1".into(),
            vmid: 10000,
            ip: "10.64.0.10".into(),
            seconds: 4.6123,
        };
        Report {
            rows: vec![row],
            writes: Writes { own: 8, beside: 2 },
            deviations,
        }
    }

    #[test]
    fn json_has_exactly_the_promised_keys() {
        let contract = json!({
            "name": "web", "state": "provisioning", "provisioned": true, "vmid": 10000, "node": "pve1",
            "ip": "10.64.0.10", "seconds": 4.612,
        });
        let wanted = json!({ "contracts": [contract], "api_writes_per_contract": 8, "ok": true });
        assert_eq!(report(Vec::new()).json(), wanted);
    }

    #[test]
    fn a_deviation_is_no_success() {
        let bad = report(vec!["cores of VM 10000 is \"1\", asked was \"2\"".into()]);
        assert!(!bad.ok());
        assert_eq!(bad.json()["ok"], json!(false));
    }

    #[test]
    fn no_contract_is_no_success() {
        assert!(
            !Report {
                rows: Vec::new(),
                writes: Writes { own: 0, beside: 0 },
                deviations: Vec::new()
            }
            .ok()
        );
    }
}
