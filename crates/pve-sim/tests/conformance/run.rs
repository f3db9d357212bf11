//! Plays a unit: prepares, asks, waits for the end, compares.

use std::sync::LazyLock;
use std::time::Duration;

use pve_sim::Lab;
use pve_sim::model::work;
use pve_sim::model::world::World;
use regex::Regex;
use serde_json::Value;

use crate::accounts;
use crate::bed;
use crate::compare;
use crate::evidence::Unit;
use crate::pairs::Pair;
use crate::request::{self, Replaced};
use crate::rights::Rights;

/// How many steps of five milliseconds a copy may take to begin.
const MOST_STEPS: u32 = 2000;

/// What came of a unit.
pub struct Verdict {
    /// What differs; nothing: it is reproduced.
    pub wrong: Vec<String>,
    /// Whether the simulator has no such call.
    pub unknown_call: bool,
}

/// Plays a unit with each kind of rights until one reproduces it; the last one's differences count otherwise.
pub fn play(unit: &Unit<'_>) -> Verdict {
    let first = play_with(unit, Rights::Smallest);
    let token = matches!(unit.asked.raw["auth_name"].as_str(), Some("dc" | "svc"));
    if first.wrong.is_empty() || !token {
        return first;
    }
    play_with(unit, Rights::Wide)
}

fn play_with(unit: &Unit<'_>, rights: Rights) -> Verdict {
    let lab = bed::lab(unit, rights);
    let pair = unit.asked;
    let mut replaced = Replaced::new();
    if let Some(sent) = pair
        .params
        .get("digest")
        .filter(|sent| !sent.is_empty() && unit.good())
        && let Some(present) = present_digest(&lab, pair)
    {
        replaced.push((sent.clone(), present));
    }
    let request = request::of(&lab, pair, &replaced);
    let Some(got) = lab.call(request) else {
        let cut = pair.status() == 0;
        let wrong = if cut {
            Vec::new()
        } else {
            vec!["no answer".to_owned()]
        };
        return Verdict {
            wrong,
            unknown_call: false,
        };
    };
    let unknown_call = got.status == 501 && pair.status() != 501;
    let mut wrong = compare::answers(pair, &got);
    if let (Some(expected), true) = (pair.upid(), wrong.is_empty()) {
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        let upid = body["data"].as_str().unwrap_or_default().to_owned();
        replaced.push((expected.to_owned(), upid));
        wrong.extend(follow(&lab, unit, &replaced));
    }
    if let Some(read) = unit.read {
        draw_alike(&lab, unit, read);
        wrong.extend(ask(&lab, read, &replaced));
    }
    Verdict { wrong, unknown_call }
}

/// Puts the recorded addresses in place of those that were drawn for cards without one.
fn draw_alike(lab: &Lab, unit: &Unit<'_>, read: &Pair) {
    static MAC: LazyLock<Regex> = LazyLock::new(|| Regex::new("=((?:[0-9A-F]{2}:){5}[0-9A-F]{2})").unwrap());
    let cards = unit.asked.params.iter().filter(|(key, _)| key.starts_with("net"));
    for (key, _) in cards.filter(|(_, sent)| !MAC.is_match(&sent.to_uppercase())) {
        let drawn = read.data()[key].as_str().and_then(|card| MAC.find(card));
        let vmid = unit.asked.vmid().unwrap_or_default();
        lab.world(|world| {
            let vm = world.vms.get_mut(&vmid);
            if let (Some(drawn), Some(vm)) = (drawn, vm)
                && let Some(card) = vm.config.get(key).map(str::to_owned)
            {
                vm.config.set(key, MAC.replace(&card, drawn.as_str()));
            }
        });
    }
}

/// Waits for the end of the task and compares what its calls say.
fn follow(lab: &Lab, unit: &Unit<'_>, replaced: &Replaced) -> Vec<String> {
    let Some((_, upid)) = replaced
        .last()
        .filter(|_| unit.end.is_some() || unit.log.is_some())
    else {
        return Vec::new();
    };
    if let Some(number) = lab.world(|world| world.tasks.number(upid)) {
        // Halfway through a copy somebody killed or interrupted its worker.
        let exit = unit.exit().unwrap_or_default();
        let (killed, interrupted) = (
            exit == "unexpected status",
            exit.ends_with("interrupted by signal"),
        );
        if killed || interrupted {
            let copying = |world: &mut World| world.tasks.get(number).is_none_or(|task| task.stage > 2);
            for _ in 0..MOST_STEPS {
                if lab.world(copying) {
                    break;
                }
                lab.pass(Duration::from_millis(5));
            }
            lab.world(|world| {
                if killed {
                    work::kill(world, number);
                } else {
                    work::interrupt(world, number);
                }
            });
        }
    }
    if lab.until_task_ends(upid).is_none() {
        return vec!["its task does not end".to_owned()];
    }
    let mut wrong = Vec::new();
    if let Some(end) = unit.end {
        wrong.extend(ask(lab, end, replaced));
        if let Some(want) = end.raw["tasklog"].as_array() {
            let got = lab.world(|world| world.tasks.find(upid).map(|task| task.log.clone()));
            wrong.extend(compare::logs(want, &got.unwrap_or_default()));
        }
    }
    if let Some(log) = unit.log {
        let lines = |list: &Value| -> Vec<Value> {
            list.as_array()
                .into_iter()
                .flatten()
                .map(|line| line["t"].clone())
                .collect()
        };
        let got = lab.world(|world| world.tasks.find(upid).map(|task| task.log.clone()));
        wrong.extend(compare::logs(&lines(log.data()), &got.unwrap_or_default()));
    }
    wrong
}

fn ask(lab: &Lab, pair: &Pair, replaced: &Replaced) -> Vec<String> {
    match lab.call(request::of(lab, pair, replaced)) {
        Some(got) => compare::answers(pair, &got),
        None => vec!["no answer".to_owned()],
    }
}

/// The digest that the thing has which a request changes.
fn present_digest(lab: &Lab, pair: &Pair) -> Option<String> {
    let path = pair.target.split('?').next()?;
    let path = path
        .strip_suffix("/resize")
        .map_or_else(|| path.to_owned(), |vm| format!("{vm}/config"));
    let request = pve_sim::LabRequest {
        method: "GET".to_owned(),
        target: path,
        headers: vec![request::by_token(accounts::ROOT)],
        body: Vec::new(),
    };
    let answer: Value = serde_json::from_slice(&lab.call(request)?.body).ok()?;
    let data = &answer["data"];
    let digest = data["digest"].as_str().or(data[0]["digest"].as_str());
    digest.map(str::to_owned)
}
