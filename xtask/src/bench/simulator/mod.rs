//! The benchmark of the simulator: with work that takes no time it must not be what others measure. What is measured,
//! under which load, against which bounds.

mod guests;
mod paced;
mod pairs;
mod starts;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::caller::Caller;
use super::proc::{load, machine, memory_mb};
use super::rig::program;
use super::sim::Sim;
use super::stats::Spread;
use super::table::{Bound, Row, table};

/// Longer than published statistics are old: what is published of every guest is part of the memory.
const PUBLISHED: Duration = Duration::from_secs(12);
/// How often the long list is read.
const LISTS: u32 = 50;

/// How much of each part.
struct Size {
    listed: u32,
    filled: u32,
    seconds: u32,
    starts: u32,
    calm: Duration,
}

const FULL: Size = Size {
    listed: 1_000,
    filled: 10_000,
    seconds: 10,
    starts: 5,
    calm: PUBLISHED,
};
const QUICK: Size = Size {
    listed: 20,
    filled: 40,
    seconds: 1,
    starts: 1,
    calm: Duration::ZERO,
};

/// What was found.
struct Figures {
    quick: bool,
    load_before: String,
    starts: Spread,
    config: paced::Answers,
    lists: Spread,
    empty_mb: f64,
    filled_mb: f64,
    filled: u32,
    fill_seconds: f64,
    pairs: Option<pairs::Pairs>,
}

/// Measures, prints a table, writes the figures.
///
/// # Errors
/// A simulator that does not start or answers wrongly, or a file that cannot be written.
pub async fn run(quick: bool, out: &Path) -> Result<()> {
    testkit::kubeconfig::install_tls();
    let size = if quick { QUICK } else { FULL };
    let folder = out
        .parent()
        .context("the figures need a folder")?
        .join("simulator");
    let mut figures = measured(&size, &folder, quick).await?;
    if !quick {
        eprintln!("pairs: the conformance test …");
        figures.pairs = pairs::reproduced()?;
    }
    super::write(out, &report(&figures))?;
    print(&figures, out);
    Ok(())
}

async fn measured(size: &Size, folder: &Path, quick: bool) -> Result<Figures> {
    let load_before = load();
    let program = program("pve-sim")?;
    let starts = Spread::of(starts::times(&program, size.starts)?);
    let sim = Sim::launch(program, folder, at_once()).await?;
    let empty_mb = memory_mb(sim.pid(), "VmRSS")?;
    let caller = Caller::new(&sim.facts)?;
    eprintln!("list: {} guests …", size.listed);
    guests::make(&caller, &sim.facts, 0..size.listed).await?;
    let lists = lists(&caller, size.listed).await?;
    eprintln!("config: {} s of paced reads …", size.seconds);
    let config = paced::read(&sim.facts, size.listed, size.seconds).await?;
    eprintln!("memory: {} guests …", size.filled);
    let begin = Instant::now();
    guests::make(&caller, &sim.facts, size.listed..size.filled).await?;
    let fill_seconds = begin.elapsed().as_secs_f64();
    sleep(size.calm).await;
    Ok(Figures {
        quick,
        load_before,
        starts,
        config,
        lists,
        empty_mb,
        filled_mb: memory_mb(sim.pid(), "VmRSS")?,
        filled: size.filled,
        fill_seconds,
        pairs: None,
    })
}

/// Options under which work takes no time.
fn at_once() -> Vec<String> {
    let kinds = [
        "clone",
        "full-clone",
        "start",
        "stop",
        "shutdown",
        "destroy",
        "resize",
    ];
    let seconds = kinds
        .iter()
        .flat_map(|kind| [format!("--{kind}-seconds"), "0".to_owned()]);
    seconds.collect()
}

async fn lists(caller: &Caller, guests: u32) -> Result<Spread> {
    let mut times = Vec::new();
    for _ in 0..LISTS {
        let begin = Instant::now();
        let list = caller.call(Method::GET, "/cluster/resources", &[]).await?;
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
        let all = list.as_array().map_or(0, Vec::len);
        anyhow::ensure!(all >= guests as usize, "only {all} entries for {guests} guests");
    }
    Ok(Spread::of(times))
}

/// Everything for the file: the agreed keys first.
fn report(figures: &Figures) -> Value {
    let Figures {
        quick,
        load_before,
        starts,
        config,
        lists,
        empty_mb,
        filled_mb,
        filled,
        fill_seconds,
        pairs,
    } = figures;
    json!({
        "get_config_p99_ms": config.spread.p99,
        "cluster_resources_1000_ms": (!quick).then_some(lists.p99),
        "rss_mb_10000_vms": (!quick).then_some(*filled_mb),
        "start_ms": starts.max,
        "pairs_reproduced": pairs.as_ref().map(|pairs| pairs.reproduced),
        "pairs_total": pairs.as_ref().map(|pairs| pairs.total),
        "pairs_excluded": pairs.as_ref().map(|pairs| pairs.excluded),
        "quick": quick, "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
        "machine": machine(), "load_before": load_before, "load_after": load(),
        "get_config": {"ms": config.spread, "per_second": config.per_second, "connections": paced::CONNECTIONS},
        "cluster_resources_ms": lists, "starts_ms": starts,
        "memory": {"guests": filled, "empty_mb": empty_mb, "filled_mb": filled_mb, "fill_seconds": fill_seconds},
    })
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is run for")]
fn print(figures: &Figures, out: &Path) {
    let row = |what, value, unit, bound| Row {
        what,
        value,
        unit,
        bound,
    };
    let mut rows = vec![
        row(
            "GET config, 16 connections, p99",
            figures.config.spread.p99,
            "ms",
            Bound::Below(2.0),
        ),
        row(
            "paced requests answered",
            figures.config.per_second,
            "/s",
            Bound::AtLeast(1_980.0),
        ),
        row(
            "/cluster/resources, 1 000 guests, p99",
            figures.lists.p99,
            "ms",
            Bound::Below(20.0),
        ),
        row("10 000 guests, RSS", figures.filled_mb, "MB", Bound::Below(300.0)),
        row("start, slowest", figures.starts.max, "ms", Bound::Below(300.0)),
    ];
    if let Some(pairs) = &figures.pairs {
        rows.push(row(
            "groups of recordings reproduced",
            pairs.percent(),
            "%",
            Bound::AtLeast(50.0),
        ));
    }
    println!("{}", table(&rows, !figures.quick));
    println!(
        "\n{}; load {} before, {} after; {}",
        machine(),
        figures.load_before,
        load(),
        out.display()
    );
}
