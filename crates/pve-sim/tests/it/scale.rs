//! Time that runs faster: work and waits of the daemon are scaled together.

use std::time::{Duration, Instant};

use pve_sim::SimConfig;

use crate::rig::{Rig, quick};

#[tokio::test]
async fn ten_simulated_seconds_pass_in_half_a_second() {
    let mut config = SimConfig {
        time_scale: 20.0,
        auth_delay: Duration::from_secs(3),
        ..quick()
    };
    config.durations.clone = Duration::from_secs(10).into();
    let rig = Rig::start(config).await;
    let begin = Instant::now();
    let params = [("newid", "200"), ("pool", "decent")];
    let upid = rig
        .call("POST", "/nodes/pve1/qemu/9000/clone", &params)
        .await
        .data();
    assert_eq!(rig.end_of(&upid).await, "OK");
    let tasks = rig.root("GET", "/nodes/pve1/tasks", &[]).await.data();
    let took = tasks[0]["endtime"].as_u64().unwrap() - tasks[0]["starttime"].as_u64().unwrap();
    assert!((9..=12).contains(&took), "{took} simulated seconds");
    let refused = rig
        .call_as("root@pam!t1=wrong", "GET", "/cluster/nextid", &[])
        .await;
    assert_eq!(refused.status, 401);
    let real = begin.elapsed();
    assert!(real >= Duration::from_millis(600), "{real:?}");
    assert!(real < Duration::from_secs(8), "{real:?}");
}
