//! What the table has counted, as metrics. Owns the last reading; must not run nft.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use agent_core::nft::{Meter, Reading, Refused};
use domain::slot::SlotIndex;
use kit::metrics::Metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// What passed by a machine's address since its route came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What it sent.
    pub sent: Meter,
    /// What it received.
    pub received: Meter,
}

#[derive(Debug, Default)]
struct Seen {
    slots: BTreeMap<SlotIndex, Traffic>,
    refused: BTreeMap<Refused, Meter>,
    certificate_until: Option<i64>,
}

/// The last reading.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Mutex<Seen>>);

impl Counters {
    /// Counters that are shown among the process's metrics.
    #[must_use]
    pub fn shown(metrics: &Metrics) -> Self {
        let counters = Self::default();
        metrics.register(|registry| registry.register_collector(Box::new(counters.clone())));
        counters
    }

    /// Takes a reading; `slots` says whose the addresses are. Gives how many more SSH connections were refused.
    pub fn take(&self, reading: &Reading, slots: impl Iterator<Item = (SlotIndex, Ipv4Addr)>) -> u64 {
        let Reading {
            sent,
            received,
            refused,
        } = reading;
        let traffic = |address: &Ipv4Addr| Traffic {
            sent: sent.get(address).copied().unwrap_or_default(),
            received: received.get(address).copied().unwrap_or_default(),
        };
        let mut seen = self.lock();
        seen.slots = slots.map(|(index, address)| (index, traffic(&address))).collect();
        let ssh = |refused: &BTreeMap<Refused, Meter>| refused.get(&Refused::Ssh).map_or(0, |m| m.packets);
        let more = ssh(refused).saturating_sub(ssh(&seen.refused));
        seen.refused.clone_from(refused);
        more
    }

    /// What passed by a machine's address, as of the last reading.
    #[must_use]
    pub fn traffic(&self, index: SlotIndex) -> Option<Traffic> {
        self.lock().slots.get(&index).copied()
    }

    /// Until when the certificate is valid, in seconds since 1970.
    pub fn certificate(&self, until: Option<i64>) {
        self.lock().certificate_until = until;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Counters {
    /// The index of a slot is bounded by the site's capacity: it may be a label.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let seen = self.lock();
        let help = "Bytes that passed by a machine's address since its route came";
        let mut bytes =
            encoder.encode_descriptor("slot_traffic", help, Some(&Unit::Bytes), MetricType::Counter)?;
        for (SlotIndex(index), Traffic { sent, received }) in &seen.slots {
            for (direction, meter) in [("sent", sent), ("received", received)] {
                let labels = [("slot", index.to_string()), ("direction", direction.to_owned())];
                ConstCounter::new(meter.bytes).encode(bytes.encode_family(&labels)?)?;
            }
        }
        let mut refused = encoder.encode_descriptor(
            "refused_packets",
            "Packets refused, by reason",
            None,
            MetricType::Counter,
        )?;
        for (reason, meter) in &seen.refused {
            let labels = [("reason", reason.name())];
            ConstCounter::new(meter.packets).encode(refused.encode_family(&labels)?)?;
        }
        let slots = i64::try_from(seen.slots.len()).unwrap_or(i64::MAX);
        let routes = encoder.encode_descriptor("routes", "Machines with a route", None, MetricType::Gauge)?;
        ConstGauge::new(slots).encode(routes)?;
        if let Some(until) = seen.certificate_until {
            let help = "When the certificate ends";
            let expiry = encoder.encode_descriptor(
                "certificate_expiry_timestamp",
                help,
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?;
            ConstGauge::new(until).encode(expiry)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_shown_by_slot() {
        let metrics = Metrics::new("agent");
        let counters = Counters::shown(&metrics);
        let address = Ipv4Addr::new(10, 64, 0, 52);
        let meter = |bytes| Meter { packets: 3, bytes };
        let reading = Reading {
            sent: BTreeMap::from([(address, meter(180))]),
            received: BTreeMap::from([(address, meter(90))]),
            refused: BTreeMap::from([(Refused::Ssh, meter(0))]),
        };
        assert_eq!(
            counters.take(&reading, std::iter::once((SlotIndex(42), address))),
            3
        );
        assert_eq!(
            counters.take(&reading, std::iter::once((SlotIndex(42), address))),
            0
        );
        counters.certificate(Some(1_800_000_000));
        let text = metrics.render().unwrap();
        for line in [
            r#"decent_agent_slot_traffic_bytes_total{slot="42",direction="sent"} 180"#,
            r#"decent_agent_slot_traffic_bytes_total{slot="42",direction="received"} 90"#,
            r#"decent_agent_refused_packets_total{reason="ssh"} 3"#,
            "decent_agent_routes 1",
            "decent_agent_certificate_expiry_timestamp_seconds 1800000000",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert_eq!(counters.traffic(SlotIndex(42)).unwrap().sent.bytes, 180);
        counters.take(&Reading::default(), std::iter::empty());
        assert!(!metrics.render().unwrap().contains("slot=\"42\""));
    }
}
