//! A small world for the laws: applies steps as the API server would, refuses what it would refuse, and lets the other
//! actors move.

use crds::{
    Account, Contract, Gateway, Machine, MachineStatus, Offering, Provider, Slot,
    common::PowerState,
    machine::{Decision, Ended, Outcome, VmStatus},
    slot::{Route, SlotPhase},
};
use domain::contract::{State, next};
use jiff::SignedDuration;
use kube::ResourceExt;

use super::{Config, Facts, MachineSeen, Plan, Step, machine_name, needs_read, plan, slot_of};
use crate::condition::{PROVISIONED, SCHEDULED};
use crate::market::{
    names::CONTRACT_FINALIZER,
    samples::{self, MACHINE_UID, UID, condition, instant},
};

#[derive(Clone, Debug, PartialEq)]
pub struct World {
    pub contract: Option<Contract>,
    pub account: Account,
    pub offering: Option<Offering>,
    pub provider: Option<Provider>,
    pub gateway: Gateway,
    pub machine: Option<Machine>,
    pub slots: Vec<Slot>,
    /// The cache shows the Machine.
    pub cached: bool,
    /// The API server answers reads.
    pub answers: bool,
    pub clock_agreed: bool,
    pub second: i64,
    pub created: usize,
    pub older_alive: usize,
}

pub fn config() -> Config {
    Config {
        hub_uid: UID.parse().unwrap(),
        allow_test_payment: true,
        contract_hour: SignedDuration::from_hours(1),
        requested_limit: SignedDuration::from_mins(60),
        provisioning_limit: SignedDuration::from_mins(60),
    }
}

impl World {
    pub fn new() -> Self {
        Self {
            contract: Some(samples::contract()),
            account: samples::account("alice"),
            offering: Some(samples::offering()),
            provider: Some(samples::provider()),
            gateway: samples::gateway(),
            machine: None,
            slots: Vec::new(),
            cached: true,
            answers: true,
            clock_agreed: true,
            second: 1,
            created: 0,
            older_alive: 0,
        }
    }

    pub fn contract(&mut self) -> &mut Contract {
        self.contract.as_mut().unwrap()
    }

    pub fn status(&self) -> crds::ContractStatus {
        self.contract
            .as_ref()
            .and_then(|c| c.status.clone())
            .unwrap_or_default()
    }

    pub fn state(&self) -> State {
        self.status().state
    }

    pub fn condition(&self, kind: &str) -> (String, String, String) {
        let status = self.status();
        let found = crate::condition::find(&status.conditions, kind).unwrap_or_else(|| panic!("no {kind}"));
        (found.status.clone(), found.reason.clone(), found.message.clone())
    }

    pub fn plan(&self) -> Option<Plan> {
        let contract = self.contract.as_ref()?;
        let seen = match &self.machine {
            Some(machine) if self.cached => MachineSeen::Present(machine),
            _ if !needs_read(contract) || !self.answers => MachineSeen::Unread,
            Some(machine) => MachineSeen::Present(machine),
            None => MachineSeen::Absent,
        };
        let machine = match seen {
            MachineSeen::Present(machine) => Some(machine),
            _ => None,
        };
        let slots: Vec<&Slot> = self.slots.iter().collect();
        let config = config();
        let facts = Facts {
            contract,
            account: Some(&self.account),
            older_alive: self.older_alive,
            offering: self.offering.as_ref(),
            provider: self.provider.as_ref(),
            machine: seen,
            slot: slot_of(machine, &slots),
            gateway: Some(&self.gateway),
            clock_agreed: self.clock_agreed,
            config: &config,
        };
        let first = plan(&facts, instant(self.second));
        assert_eq!(
            first,
            plan(&facts, instant(self.second)),
            "equal facts, equal plan"
        );
        Some(first)
    }

    /// Applies the first `keep` steps of one pass; says how many there were.
    pub fn pass(&mut self, keep: usize) -> usize {
        let Some(plan) = self.plan() else { return 0 };
        let count = plan.steps.len();
        for step in plan.steps.into_iter().take(keep) {
            self.apply(step);
        }
        count
    }

    /// Passes until nothing is left to do.
    pub fn settle(&mut self) {
        for _ in 0..8 {
            if self.pass(usize::MAX) == 0 {
                return;
            }
        }
        panic!("does not settle: {:?}", self.plan().map(|p| p.steps));
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::AddFinalizer => {
                assert!(
                    self.contract().metadata.deletion_timestamp.is_none(),
                    "refused while deleting"
                );
                self.contract().metadata.finalizers = Some(vec![CONTRACT_FINALIZER.into()]);
            }
            Step::Status(status) => {
                let old = self.status();
                next(old.state, status.state).expect("a legal transition");
                assert!(
                    old.price.is_none() || old.price == status.price,
                    "a price is fixed once"
                );
                assert!(
                    old.starts_at.is_none() || old.starts_at == status.starts_at,
                    "it starts once"
                );
                assert!(old.id.is_none() || old.id == status.id);
                self.contract().status = Some(*status);
            }
            Step::CreateMachine(machine) => self.create(*machine),
            Step::ApplyMachine(spec) => {
                assert!(spec.teardown.is_none(), "no teardown without its own step");
                self.respec(*spec);
            }
            Step::Teardown(spec) => {
                assert!(self.state().is_terminal(), "no cause, no teardown");
                self.respec(*spec);
            }
            Step::DropFinalizer => {
                let free = self.machine.as_ref().is_none_or(|m| m.spec.teardown.is_some());
                assert!(free, "the Machine does not know yet");
                self.contract().metadata.finalizers = None;
                if self.contract().metadata.deletion_timestamp.is_some() {
                    self.contract = None;
                }
            }
        }
    }

    fn create(&mut self, mut machine: Machine) {
        assert!(
            !self.contract().finalizers().is_empty(),
            "nothing is made for what may vanish"
        );
        assert_eq!(machine.metadata.name, machine_name(self.contract()));
        if self.machine.is_none() {
            machine.metadata.uid = Some(MACHINE_UID.into());
            self.machine = Some(machine);
            self.created += 1;
        }
    }

    fn respec(&mut self, spec: crds::MachineSpec) {
        let machine = self.machine.as_mut().expect("it exists");
        let old = &machine.spec;
        assert_eq!(
            (&old.contract_ref, &old.hub_uid, &old.offering),
            (&spec.contract_ref, &spec.hub_uid, &spec.offering)
        );
        assert!(!old.admitted || spec.admitted, "admitted is never taken back");
        assert!(
            old.teardown.is_none() || old.teardown == spec.teardown,
            "teardown is set once"
        );
        machine.spec = spec;
    }

    fn machine_status(&mut self, change: impl FnOnce(&mut MachineStatus)) {
        if let Some(machine) = &mut self.machine {
            change(machine.status.get_or_insert_default());
        }
    }

    pub fn decide(&mut self, decision: Decision) {
        self.machine_status(|s| s.decision = s.decision.or(Some(decision)));
    }

    pub fn claim(&mut self) {
        let admitted = self
            .machine
            .as_ref()
            .is_some_and(|m| m.spec.admitted && m.spec.teardown.is_none());
        if admitted && self.slots.is_empty() {
            self.slots.push(samples::slot(0, None));
            self.machine_status(|s| {
                s.slot = Some("ams1-0".into());
                s.conditions = vec![condition(SCHEDULED, "True", "Scheduled", "On node pve1.")];
            });
        }
    }

    pub fn power(&mut self, power: PowerState) {
        if self.slots.is_empty() {
            return;
        }
        self.machine_status(|s| {
            s.vm = Some(VmStatus {
                vmid: 10_000,
                node: "pve1".into(),
                power,
            });
            s.conditions = vec![
                condition(SCHEDULED, "True", "Scheduled", "On node pve1."),
                condition(PROVISIONED, "True", "Provisioned", "The VM is made as asked."),
            ];
        });
    }

    pub fn route(&mut self, programmed: bool) {
        let probed_at = Some(samples::at(self.second));
        if let Some(slot) = self.slots.first_mut() {
            let status = slot.status.get_or_insert_default();
            let probed_at = if programmed {
                probed_at
            } else {
                status.route.clone().and_then(|r| r.probed_at)
            };
            let host_keys = vec!["ssh-ed25519 AAAAC3Nz".into()];
            status.route = Some(Route {
                programmed,
                probed_at,
                host_keys,
                ..Route::default()
            });
        }
    }

    pub fn end_machine(&mut self) {
        if self.machine.as_ref().is_some_and(|m| m.spec.teardown.is_some()) {
            for slot in &mut self.slots {
                slot.status.get_or_insert_default().phase = SlotPhase::Resting;
            }
            let at = samples::at(self.second);
            self.machine_status(|s| {
                s.ended.get_or_insert(Ended {
                    outcome: Outcome::Deleted,
                    at,
                    reason: None,
                });
            });
        }
    }

    pub fn delete(&mut self) {
        let at = samples::at(self.second);
        if let Some(contract) = &mut self.contract {
            if contract.finalizers().is_empty() {
                self.contract = None;
            } else {
                contract.metadata.deletion_timestamp.get_or_insert(at);
            }
        }
    }

    pub fn run(&mut self) {
        self.settle();
        self.claim();
        self.settle();
        self.power(PowerState::Running);
        self.settle();
        self.route(true);
        self.settle();
    }
}
