//! Builds the process from its arguments and runs it until it is told to stop or a critical task ends.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use agent_core::doctor::{Verdict, judge};
use anyhow::{Context as _, Result};
use kit::admin::{Admin, Shown};
use kit::args::{AdminArgs, TelemetryArgs};
use kit::clock::SystemClock;
use kit::metrics::Metrics;
use kit::ready::Ready;
use kit::tasks::Tasks;
use kit::{telemetry, tls};

use crate::args::{Args, Command, EnrolArgs, HostArgs, InstallArgs, RunArgs};
use crate::plane::DataPlane;
use crate::{doctor, hub, install};

/// Does what the command line says.
///
/// # Errors
/// Why it could not be done.
pub async fn main(args: Args) -> Result<ExitCode> {
    tls::install();
    match args.command {
        Command::Run(args) => run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Enrol(args) => enrol(args).await.map(|()| ExitCode::SUCCESS),
        Command::Doctor(host) => examine(host).await,
        Command::Install(args) => install_here(args).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn run(args: RunArgs) -> Result<()> {
    let RunArgs {
        host,
        telemetry,
        admin,
    } = args;
    let TelemetryArgs { log, log_format } = telemetry;
    let AdminArgs { admin_address, drain } = admin;
    let log_level = telemetry::init(log_format, &log)?;
    let tasks = Tasks::new(drain);
    tasks.on_signals()?;
    let (metrics, ready) = (Metrics::new("agent"), Ready::new());
    let running = ready.gate("data plane");
    let shown = Shown {
        ready,
        metrics: metrics.clone(),
        log_level,
    };
    let admin = Admin::bind(admin_address, shown).await?;
    tasks.spawn("admin", admin.serve(tasks.shutdown()));
    let clock = Arc::new(SystemClock::new());
    let (config, state) = (host.clone().config(), host.state.clone());
    let (plane, seams) = DataPlane::start(host.config(), &tasks, &metrics, clock.clone()).await?;
    // Without an enrolment, routes of a snapshot are served on: a lost file takes nobody's machine away.
    let known = match hub::enrolled(&state) {
        Err(error) if plane.routes().await > 0 => {
            tracing::error!("{}", kit::chain(&error));
            None
        }
        known => known?,
    };
    let left = match known {
        Some(store) => {
            hub::start((config, store), (plane, seams), &tasks, clock)?;
            None
        }
        None if plane.routes().await == 0 => return Err(hub::HubError::NotEnrolled.into()),
        None => {
            tracing::error!("{}; the routes of the snapshot stay", hub::HubError::NotEnrolled);
            Some(seams)
        }
    };
    running.set();
    let ended = tasks.wait().await.context("the agent stopped");
    drop(left);
    ended
}

async fn enrol(args: EnrolArgs) -> Result<()> {
    let EnrolArgs { file, state } = args;
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("failed to read the standard input")?
    } else {
        std::fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?
    };
    std::fs::create_dir_all(&state).with_context(|| format!("failed to make {}", state.display()))?;
    let identity = hub::enrol::enrol(&text, &state).await?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "✓ this host serves Gateway {} in {}; next: systemctl enable --now decent-agent",
        identity.gateway, identity.namespace
    )?;
    Ok(())
}

async fn examine(host: HostArgs) -> Result<ExitCode> {
    let clock = SystemClock::new();
    let known = hub::facts(&host.state).await;
    let findings = judge(&doctor::gather(&host.config(), &clock, known).await);
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let ill = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if ill { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn install_here(args: InstallArgs) -> Result<()> {
    let InstallArgs { host, ports, root } = args;
    let program = std::env::current_exe().context("failed to find this program's own file")?;
    let wanted = install::Install {
        root,
        program,
        lan: host.lan,
        ports,
    };
    let written = install::install(&wanted).await?;
    let mut out = std::io::stdout().lock();
    for path in written {
        writeln!(out, "✓ {}", path.display())?;
    }
    Ok(())
}
