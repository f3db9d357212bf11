use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::api::params::Params;

const CLONE: &str = "/nodes/pve1/qemu/9000/clone";

fn facts(method: &str, path: &str) -> Facts {
    Facts::new(method, path, &Params::default())
}

fn armed(seed: u64, matcher: &Value, act: &Value) -> Faults {
    let mut faults = Faults::new(seed);
    let rule = serde_json::from_value(json!({"match": matcher, "act": act})).unwrap();
    faults.add(read(rule).unwrap(), Moment::default()).unwrap();
    faults
}

fn met(faults: &mut Faults, method: &str, path: &str) -> bool {
    faults
        .take(&facts(method, path), Moment::default())
        .rule
        .is_some()
}

#[test]
fn a_template_meets_whole_paths_only() {
    let matcher = json!({"path": "/nodes/{node}/qemu/{vmid}/clone", "count": 0});
    let mut faults = armed(1, &matcher, &json!("drop_before"));
    assert!(met(&mut faults, "POST", CLONE));
    assert!(!met(&mut faults, "POST", &format!("{CLONE}/x")));
}

#[test]
fn the_second_fitting_request_is_met_once() {
    let act = json!({"refuse": {"status": 500, "reason": "x"}});
    let mut faults = armed(1, &json!({"method": "get", "nth": 2}), &act);
    let all: Vec<bool> = (0..4).map(|_| met(&mut faults, "GET", "/version")).collect();
    assert_eq!(all, [false, true, false, false]);
    let shown = json!(faults.list());
    assert_eq!((&shown[0]["seen"], &shown[0]["met"]), (&json!(4), &json!(1)));
}

#[test]
fn a_likely_rule_meets_its_share_and_the_same_ones_with_the_same_seed() {
    let run = |seed| {
        let mut faults = armed(
            seed,
            &json!({"probability": 0.3, "count": 0}),
            &json!("blackhole"),
        );
        (0..1000)
            .map(|_| met(&mut faults, "GET", "/version"))
            .collect::<Vec<_>>()
    };
    let share = run(7).iter().filter(|met| **met).count();
    assert!((200..400).contains(&share), "{share}");
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn the_newest_rule_that_meets_a_request_decides_and_leaves_it_to_the_others_after_that() {
    let mut faults = armed(1, &json!({}), &json!("drop_before"));
    let newer = serde_json::from_value(json!({"act": "drop_after"})).unwrap();
    faults.add(read(newer).unwrap(), Moment::default()).unwrap();
    let mut ending = || {
        let taken = faults.take(&facts("GET", "/version"), Moment::default());
        taken.plan.ending.clone()
    };
    let all = [ending(), ending(), ending()];
    assert_eq!(all, [Some(Ending::DropAfter), Some(Ending::DropBefore), None]);
}

#[test]
fn a_window_opens_and_shuts() {
    let matcher = json!({"count": 0, "window": {"after_ms": 100, "for_ms": 50}});
    let mut faults = armed(1, &matcher, &json!("drop_after"));
    let mut at = |ms| {
        let now = Moment::default().plus(Duration::from_millis(ms));
        faults.take(&facts("GET", "/version"), now).rule.is_some()
    };
    assert_eq!([at(99), at(100), at(149), at(150)], [false, true, true, false]);
}

#[test]
fn acts_add_up_to_one_plan() {
    let acts = json!([
        {"delay": {"ms": 5}}, {"delay": {"ms": 7}}, "kill_worker", "drop_after",
        {"control": {"method": "POST", "path": "/quorum", "body": {"on": false}}},
    ]);
    let plan = Plan::of(&act::read(&acts).unwrap()).unwrap();
    assert_eq!(plan.delay, Duration::from_millis(12));
    assert!(plan.cuts());
    assert_eq!(
        (plan.hands(When::Before).count(), plan.hands(When::After).count()),
        (1, 0)
    );
}

#[rstest]
#[case(json!({"method": "FETCH"}), json!("blackhole"), "match.method: \"FETCH\" is no method")]
#[case(json!({"vmid": 99}), json!("blackhole"), "match.vmid: a VMID is from 100 to 999999999")]
#[case(json!({"node": ""}), json!("blackhole"), "match.node: a node has a name")]
#[case(json!({"nth": 0}), json!("blackhole"), "match.nth: requests are counted from 1")]
#[case(json!({"probability": 1.5}), json!("blackhole"), "match.probability: a probability is from 0 to 1")]
#[case(json!({"probability": -0.1}), json!("blackhole"), "match.probability: a probability is from 0 to 1")]
#[case(json!({"window": {"for_ms": 0}}), json!("blackhole"), "match.window.for_ms: a window lasts at least 1 ms")]
#[case(json!({"window": {"after_ms": 604_800_001_u64}}), json!("blackhole"), "match.window: a window is within a week")]
#[case(json!({"path": ""}), json!("blackhole"), "match.path: a pattern has 1 to 1000 bytes")]
#[case(json!({"path": "(["}), json!("blackhole"), "match.path: failed to read the pattern \"([\"")]
#[case(json!({"path": "(a{1000}){1000}"}), json!("blackhole"), "match.path: failed to read the pattern")]
#[case(json!({}), json!("explode"), "act: unknown variant `explode`")]
#[case(json!({}), json!([]), "act: a rule has 1 to 16 acts")]
#[case(json!({}), json!(["drop_before", "blackhole"]), "act: two acts decide the answer")]
#[case(json!({}), json!(["kill_worker", "lose_task"]), "act: two acts decide how the task ends")]
#[case(json!({}), json!(["kill_worker", "blackhole"]), "act: a request without effect starts no task")]
#[case(json!({}), json!({"refuse": {"status": 200, "reason": "x"}}), "act.refuse.status: a status is from 400 to 599")]
#[case(json!({}), json!({"refuse": {"status": 500, "reason": "a\r\nb"}}), "act.refuse.reason: a text has no control")]
#[case(json!({}), json!({"refuse": {"status": 500, "reason": ""}}), "act.refuse.reason: a text has 1 to 2000 bytes")]
#[case(json!({}), json!({"refuse": {"status": 500}}), "act: missing field `reason`")]
#[case(json!({}), json!({"answer": {"status": 99, "body": ""}}), "act.answer.status: a status is from 200 to 599")]
#[case(json!({}), json!({"delay": {"ms": 600_001}}), "act.delay.ms: a delay is 600000 ms at most")]
#[case(json!({}), json!({"warn_task": {"warnings": 0}}), "act.warn_task.warnings: a task with no warnings ends OK")]
#[case(json!({}), json!({"fail_task": {"exitstatus": "OK"}}), "act.fail_task.exitstatus: OK is no failure")]
#[case(json!({}), json!({"control": {"method": "DELETE", "path": "/faults/1"}}), "a rule does not change the rules")]
#[case(json!({}), json!({"control": {"method": "POST", "path": "/reset"}}), "a rule does not change the rules")]
#[case(json!({}), json!({"control": {"method": "POST", "path": "quorum"}}), "a path begins with /")]
fn a_rule_that_means_nothing_is_refused_with_its_place(
    #[case] matcher: Value,
    #[case] act: Value,
    #[case] why: &str,
) {
    let rule = serde_json::from_value(json!({"match": matcher, "act": act})).unwrap();
    let error = read(rule).unwrap_err().to_string();
    assert!(
        error.starts_with(why) || error.ends_with(why) || error.contains(why),
        "{error}"
    );
}

#[test]
fn there_is_a_most_of_rules() {
    let mut faults = Faults::new(1);
    let one = || {
        let rule = serde_json::from_value(json!({"act": "blackhole"})).unwrap();
        read(rule).unwrap()
    };
    for _ in 0..MOST {
        faults.add(one(), Moment::default()).unwrap();
    }
    let error = faults.add(one(), Moment::default()).unwrap_err();
    assert!(error.to_string().starts_with("1000 rules are armed"), "{error}");
}
