//! How figures are shown: a table for people, JSON for programs. Owns the targets; measures nothing.

use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use serde_json::{Value, json};

use super::latency::Latency;
use super::proc::{load, machine};
use super::provisioning::Figures;
use super::table::{Bound, Row, table};

fn rows(figures: &Figures) -> Vec<Row> {
    let row = |what, value, unit, bound| Row {
        what,
        value,
        unit,
        bound,
    };
    let mut rows = Vec::new();
    if let Some(latency) = &figures.latency {
        rows.push(row(
            "contract created → clone request, p99",
            latency.to_clone().p99,
            "ms",
            Bound::Below(250.0),
        ));
        rows.push(row(
            "over raw Proxmox time, p50",
            latency.overhead_p50(),
            "ms",
            Bound::Below(600.0),
        ));
        rows.push(row(
            "over raw Proxmox time, p99",
            latency.overhead_p99(),
            "ms",
            Bound::Below(1500.0),
        ));
    }
    if let Some(writes) = &figures.writes {
        rows.push(row(
            "API writes to Ready",
            writes.per_contract(),
            "",
            Bound::AtMost(10.0),
        ));
        rows.push(row(
            "API writes, whole life",
            writes.whole_life(),
            "",
            Bound::AtMost(20.0),
        ));
    }
    if let Some(memory) = &figures.memory {
        rows.push(row(
            "operator, settled contracts, RSS",
            memory.rss_mb(),
            "MB",
            Bound::Below(60.0),
        ));
    }
    rows
}

/// Everything for the file: the agreed keys first.
pub fn json(figures: &Figures) -> Value {
    let Figures {
        latency,
        writes,
        memory,
        quick,
        load_before,
    } = figures;
    let contracts = memory.as_ref().map(|m| m.contracts);
    json!({
        "accept_to_clone_p99_ms": latency.as_ref().map(|l| l.to_clone().p99),
        "overhead_p50_ms": latency.as_ref().map(Latency::overhead_p50),
        "overhead_p99_ms": latency.as_ref().map(Latency::overhead_p99),
        "api_writes_per_contract": writes.as_ref().map(super::writes::Writes::per_contract),
        "api_writes_whole_life": writes.as_ref().map(super::writes::Writes::whole_life),
        "rss_mb_1000": memory.as_ref().filter(|m| m.contracts == 1000).map(super::memory::Memory::rss_mb),
        "contracts": contracts,
        "quick": quick, "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
        "machine": machine(), "load_before": load_before, "load_after": load(),
        "latency": latency.as_ref().map(Latency::json),
        "writes": writes.as_ref().map(super::writes::Writes::json),
        "memory": memory.as_ref().map(super::memory::Memory::json),
    })
}

/// Shows the figures.
#[expect(clippy::print_stdout, reason = "the figures are what this program is run for")]
pub fn print(figures: &Figures, out: &Path) {
    println!("{}", table(&rows(figures), !figures.quick));
    if let Some(latency) = &figures.latency {
        println!("\nMilliseconds, p50 / p99\n{}", phases(latency));
        println!("{}", latency.busy());
    }
    if let Some(writes) = &figures.writes {
        println!(
            "\nWrites of one contract, in order\n  {}",
            writes.evidence().join("\n  ")
        );
        println!("\nWrites of all contracts, by kind");
        for (kind, count) in writes.by_kind() {
            println!("  {count:4} {kind}");
        }
    }
    println!(
        "\n{}; load {} before, {} after; {}",
        machine(),
        figures.load_before,
        load(),
        out.display()
    );
}

fn phases(latency: &Latency) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_header(["", "contract", "raw script"]);
    let all = ("all", latency.ours(), latency.raw());
    for (name, ours, raw) in latency.phases().into_iter().chain([all]) {
        let cell = |s: super::stats::Spread| format!("{:.0} / {:.0}", s.p50, s.p99);
        table.add_row([name.to_owned(), cell(ours), cell(raw)]);
    }
    table
}
