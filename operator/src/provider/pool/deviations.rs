//! Which machines the cluster shows otherwise than their status says. Only those are looked at one by one; a machine that
//! stays so is looked at ever more seldom.

use std::collections::HashMap;

use crds::{Machine, common::PowerState, machine::VmStatus};
use dc_proxmox::{PowerStatus, VmRow};
use domain::ids::Vmid;

use super::Inventory;

/// What was told before, by the Machine's name: the deviation and how often it was seen.
pub type Told = HashMap<String, (Deviation, u32)>;

/// How a row deviates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// No row.
    Missing,
    /// On another node.
    Moved(String),
    /// Runs or not, other than written.
    Power(PowerState),
}

/// How the row of a VM deviates from what is written.
fn deviation(vm: &VmStatus, row: Option<&VmRow>) -> Option<Deviation> {
    let Some(row) = row else {
        return Some(Deviation::Missing);
    };
    if row.node != vm.node {
        return Some(Deviation::Moved(row.node.clone()));
    }
    let power = match row.status {
        PowerStatus::Running => PowerState::Running,
        PowerStatus::Stopped => PowerState::Stopped,
        PowerStatus::Unknown | PowerStatus::Other(_) => return None,
    };
    (power != vm.power).then_some(Deviation::Power(power))
}

/// The names of the machines to look at now.
pub fn deviating<'a>(
    machines: impl Iterator<Item = &'a Machine>,
    inventory: &Inventory,
    told: &mut Told,
) -> Vec<String> {
    let mut now = Told::new();
    let mut names = Vec::new();
    for machine in machines {
        let Some(vm) = machine.status.as_ref().and_then(|status| status.vm.as_ref()) else {
            continue;
        };
        let row = Vmid::try_from(i64::from(vm.vmid))
            .ok()
            .and_then(|vmid| inventory.vm(vmid));
        // A node that is away shows frozen values; what is shown elsewhere has moved.
        let counts = |found: &Deviation| matches!(found, Deviation::Moved(_)) || inventory.online(&vm.node);
        let Some(found) = deviation(vm, row).filter(counts) else {
            continue;
        };
        let name = machine.metadata.name.clone().unwrap_or_default();
        let times = told
            .get(&name)
            .filter(|(before, _)| *before == found)
            .map_or(1, |(_, times)| times.saturating_add(1));
        if times.is_power_of_two() {
            names.push(name.clone());
        }
        now.insert(name, (found, times));
    }
    *told = now;
    names
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crds::{MachineSpec, MachineStatus};
    use dc_proxmox::{NodeRow, Resources};
    use jiff::Timestamp;
    use rstest::rstest;

    use super::*;

    fn row(status: PowerStatus, node: &str) -> VmRow {
        VmRow {
            vmid: 10_000_u32.try_into().unwrap(),
            node: node.to_owned(),
            name: None,
            status,
            lock: None,
            pool: None,
            template: false,
            tags: None,
            maxcpu: None,
            maxmem: None,
            maxdisk: None,
        }
    }

    fn inventory(vms: Vec<VmRow>, online: bool) -> Inventory {
        let node = NodeRow {
            node: "pve1".to_owned(),
            online,
            maxcpu: None,
            maxmem: None,
            mem: None,
            cpu: None,
        };
        Inventory {
            seen: Timestamp::UNIX_EPOCH,
            monotonic: Duration::ZERO,
            resources: Resources {
                vms,
                nodes: vec![node],
                storages: Vec::new(),
            },
            cluster: None,
            offline: std::collections::BTreeMap::new(),
        }
    }

    fn machine() -> Machine {
        let mut machine = Machine::new("m-1", MachineSpec::default());
        let vm = VmStatus {
            vmid: 10_000,
            node: "pve1".to_owned(),
            power: PowerState::Running,
        };
        machine.status = Some(MachineStatus {
            vm: Some(vm),
            ..MachineStatus::default()
        });
        machine
    }

    #[rstest]
    #[case::as_written(vec![row(PowerStatus::Running, "pve1")], false)]
    #[case::unknown(vec![row(PowerStatus::Unknown, "pve1")], false)]
    #[case::stopped(vec![row(PowerStatus::Stopped, "pve1")], true)]
    #[case::moved(vec![row(PowerStatus::Running, "pve2")], true)]
    #[case::missing(vec![], true)]
    fn only_machines_that_deviate_are_looked_at(#[case] rows: Vec<VmRow>, #[case] looked_at: bool) {
        let names = deviating([machine()].iter(), &inventory(rows, true), &mut Told::new());
        assert_eq!(!names.is_empty(), looked_at);
    }

    #[test]
    fn a_node_that_is_away_shows_no_deviation() {
        assert!(
            deviating(
                [machine()].iter(),
                &inventory(Vec::new(), false),
                &mut Told::new()
            )
            .is_empty()
        );
    }

    #[test]
    fn one_that_stays_so_is_looked_at_ever_more_seldom() {
        let (mut told, gone) = (Told::new(), inventory(Vec::new(), true));
        let mut looks = || deviating([machine()].iter(), &gone, &mut told).len();
        assert_eq!(
            (1..=8).map(|_| looks()).collect::<Vec<_>>(),
            [1, 1, 0, 1, 0, 0, 0, 1]
        );
        let stopped = inventory(vec![row(PowerStatus::Stopped, "pve1")], true);
        assert_eq!(deviating([machine()].iter(), &stopped, &mut told).len(), 1);
    }
}
