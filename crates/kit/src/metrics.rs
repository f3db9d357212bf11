//! The process's metrics: a registry, and what every controller measures.
//! Labels come from closed enums only; an object's name as a label is a leak.

use std::{
    fmt::Debug,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// A closed set of label values: implement it on enums, never on text.
pub trait Label: Copy + Debug + Eq + Hash + Send + Sync + 'static {
    /// The value as it is exported, `snake_case`.
    fn label(self) -> &'static str;
}

impl Label for crate::call::Act {
    fn label(self) -> &'static str {
        Self::label(self)
    }
}

/// The registry, shared with the admin port.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// Every name starts with `decent_<component>_`.
    #[must_use]
    pub fn new(component: &str) -> Self {
        let registry = Registry::with_prefix(format!("decent_{component}"));
        Self {
            registry: Arc::new(Mutex::new(registry)),
        }
    }

    /// Registers metrics of the caller's own.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The text form that `/metrics` serves.
    ///
    /// # Errors
    /// When a metric cannot be written.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    controller: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    controller: &'static str,
    class: &'static str,
    step: &'static str,
}

type Durations = Family<PassLabels, Histogram, fn() -> Histogram>;

/// What is measured of reconcile passes.
#[derive(Debug, Clone)]
pub struct Reconciles {
    durations: Durations,
    failures: Family<FailureLabels, Counter>,
    running: Gauge,
}

fn buckets() -> Histogram {
    Histogram::new([0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0])
}

impl Reconciles {
    /// Registers `reconcile_duration_seconds`, `reconcile_failures_total` and
    /// `reconcile_passes_running`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let all = Self {
            durations: Durations::new_with_constructor(buckets),
            failures: Family::default(),
            running: Gauge::default(),
        };
        metrics.register(|registry| {
            let durations = all.durations.clone();
            registry.register("reconcile_duration_seconds", "Duration of passes", durations);
            let failures = all.failures.clone();
            registry.register("reconcile_failures", "Failed steps by class", failures);
            registry.register(
                "reconcile_passes_running",
                "Passes under way",
                all.running.clone(),
            );
        });
        all
    }

    /// Starts measuring a pass; it is recorded when the measure is dropped.
    pub fn measure(&self, controller: impl Label) -> Measure {
        self.running.inc();
        Measure {
            all: self.clone(),
            controller: controller.label(),
            outcome: "abandoned",
            start: Instant::now(),
        }
    }

    /// Counts a failure by class and step.
    pub fn failed(&self, controller: impl Label, class: impl Label, step: impl Label) {
        let labels = FailureLabels {
            controller: controller.label(),
            class: class.label(),
            step: step.label(),
        };
        self.failures.get_or_create(&labels).inc();
    }
}

/// One pass under way; records itself on drop, also on an early return.
#[derive(Debug)]
#[must_use]
pub struct Measure {
    all: Reconciles,
    controller: &'static str,
    outcome: &'static str,
    start: Instant,
}

impl Measure {
    /// Names the outcome; a pass dropped without one counts as "abandoned".
    pub fn outcome(&mut self, outcome: impl Label) {
        self.outcome = outcome.label();
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        let labels = PassLabels {
            controller: self.controller,
            outcome: self.outcome,
        };
        let seconds = self.start.elapsed().as_secs_f64();
        self.all.durations.get_or_create(&labels).observe(seconds);
        self.all.running.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    enum Name {
        Machine,
        Settled,
        Locked,
        Clone,
    }

    impl Label for Name {
        fn label(self) -> &'static str {
            match self {
                Self::Machine => "machine",
                Self::Settled => "settled",
                Self::Locked => "locked",
                Self::Clone => "clone",
            }
        }
    }

    #[test]
    fn passes_and_failures_are_exported_under_our_prefix() {
        let metrics = Metrics::new("operator");
        let passes = Reconciles::new(&metrics);
        let mut pass = passes.measure(Name::Machine);
        let text = metrics.render().unwrap();
        assert!(
            text.contains("decent_operator_reconcile_passes_running 1"),
            "{text}"
        );
        pass.outcome(Name::Settled);
        drop(pass);
        drop(passes.measure(Name::Machine));
        passes.failed(Name::Machine, Name::Locked, Name::Clone);
        let text = metrics.render().unwrap();
        for line in [
            r#"decent_operator_reconcile_duration_seconds_count{controller="machine",outcome="settled"} 1"#,
            r#"decent_operator_reconcile_duration_seconds_count{controller="machine",outcome="abandoned"} 1"#,
            r#"decent_operator_reconcile_failures_total{controller="machine",class="locked",step="clone"} 1"#,
            "decent_operator_reconcile_passes_running 0",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
