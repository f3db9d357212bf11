//! The doctor on a host that serves, and on one that cannot.

use std::sync::Arc;

use agent::doctor::gather;
use agent_core::doctor::{Check, Verdict, judge};
use agent_core::routes::Heard;
use kit::clock::SystemClock;

use super::bed::{self, Running, until};
use super::guests::tcp_echo;
use super::objects::{live, site};

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn a_host_is_examined_by_what_it_serves() {
    bed::run(async |bed| {
        let verdict = async |check: Check| {
            let findings = judge(&gather(&bed.config(), &SystemClock::new(), None).await);
            findings
                .into_iter()
                .find(|finding| finding.check == check)
                .map(|finding| finding.verdict)
        };
        // Without a site, nobody knows what should be there.
        assert_eq!(verdict(Check::Ports).await, None);
        let plane = Running::start_at(bed.config(), Arc::new(SystemClock::new())).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0)])).await.unwrap();
        let saved = bed.state().join("snapshot.json");
        until("the site is saved", async || saved.exists()).await;
        for check in [
            Check::Nftables,
            Check::Forwarding,
            Check::Lan,
            Check::PublicAddress,
            Check::ForeignRules,
            Check::Ports,
        ] {
            assert_eq!(verdict(check).await, Some(Verdict::Ok), "{check}");
        }
        // No web server runs, the hub is not known, and IPv6 is on at the machines' link.
        for check in [Check::Caddy, Check::Hub, Check::Ipv6] {
            assert_eq!(verdict(check).await, Some(Verdict::Fail), "{check}");
        }
        let spoil = "nft 'add table inet fw; add chain inet fw forward { type filter hook forward priority 0; policy drop; }'; \
                     echo 0 >/proc/sys/net/ipv4/ip_forward; ip addr del 10.64.0.1/16 dev lan0; \
                     echo 1 >/proc/sys/net/ipv6/conf/lan0/disable_ipv6";
        assert!(bed.gateway.sh(spoil).await.status.success());
        tcp_echo(&bed.gateway, 20_000);
        assert_eq!(verdict(Check::ForeignRules).await, Some(Verdict::Warn));
        assert_eq!(verdict(Check::Forwarding).await, Some(Verdict::Fail));
        assert_eq!(verdict(Check::Lan).await, Some(Verdict::Fail));
        assert_eq!(verdict(Check::Ports).await, Some(Verdict::Warn));
        assert_eq!(
            verdict(Check::Ipv6).await,
            Some(Verdict::Fail),
            "without a link nobody knows"
        );
        plane.stop().await;
    });
}
