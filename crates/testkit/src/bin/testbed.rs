//! `testbed`: a real control plane for one command, or kept until told otherwise.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use kube::config::Kubeconfig;
use testkit::agent::Agent;
use testkit::assets::Assets;
use testkit::process::{GRACE, Record, bound, end_marked, spawn};
use testkit::shared::{DIR_VAR, KUBECONFIG_VAR};
use testkit::{ControlPlane, Lifetime, Options, control_plane, kubeconfig};
use tokio::signal::unix::{SignalKind, signal};

/// A real Kubernetes control plane on loopback.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a command beside a fresh control plane, then remove both. Exits as the command does.
    Run {
        #[command(flatten)]
        server: Server,
        /// The command; sees `KUBECONFIG`, `TESTBED_DIR` and kubectl.
        #[arg(required = true, last = true)]
        command: Vec<String>,
    },
    /// Start a control plane that stays.
    Up {
        #[command(flatten)]
        server: Server,
        /// Where it keeps logs, keys and data.
        #[arg(long)]
        dir: PathBuf,
    },
    /// End everything that is recorded in a folder.
    Down {
        /// The folder given to `up`.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Play the agent of one Gateway: routes are true once the simulator's VM runs.
    Agent {
        /// File of a kubeconfig.
        #[arg(long)]
        kubeconfig: PathBuf,
        /// Namespace of the Gateway.
        #[arg(long)]
        namespace: String,
        /// Name of the Gateway.
        #[arg(long)]
        gateway: String,
        /// Address of the simulator's control port.
        #[arg(long)]
        sim_control: String,
    },
    /// Wait until the parent is gone, then end what it left behind.
    #[command(hide = true)]
    Guard {
        /// The folder of the parent's control plane.
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Args)]
struct Server {
    /// Log each write to audit.log.
    #[arg(long)]
    audit: bool,
    /// Leave our kinds and policies out.
    #[arg(long)]
    bare: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Run { server, command } => run(&server, &command).await,
        Verb::Up { server, dir } => up(&server, dir).await,
        Verb::Down { dir } => down(&dir).await,
        Verb::Agent {
            kubeconfig,
            namespace,
            gateway,
            sim_control,
        } => agent(&kubeconfig, namespace, gateway, sim_control).await,
        Verb::Guard { dir } => guard(&dir).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("✗ testbed: {error:#}");
        ExitCode::FAILURE
    })
}

async fn start(server: &Server, dir: Option<PathBuf>, lifetime: Lifetime) -> Result<ControlPlane> {
    let begun = Instant::now();
    let plane = ControlPlane::start(Options {
        dir,
        lifetime,
        audit_log: server.audit,
        kinds: !server.bare,
    })
    .await?;
    eprintln!(
        "✓ control plane            ready in {:.1} s  {}",
        begun.elapsed().as_secs_f32(),
        plane.dir().display()
    );
    Ok(plane)
}

async fn run(server: &Server, command: &[String]) -> Result<ExitCode> {
    let mut plane = start(server, None, Lifetime::Bound).await?;
    let dir = plane.dir().to_path_buf();
    let mut guard = start_guard(&dir)?;
    let status = run_command(&plane, command).await;
    // What the command started and left.
    end_marked(DIR_VAR, &dir.to_string_lossy()).await?;
    if !matches!(&status, Ok(status) if status.success()) {
        // Silently, since the command's own last line shall be the last: the folder was named at the start.
        plane.keep_folder();
    }
    plane.stop().await?;
    // Its input ends with this, and so does it.
    drop(guard.stdin.take());
    guard.wait().context("failed to await the guard")?;
    Ok(exit_code(status?))
}

/// Runs the command; a signal to end is passed on to it.
async fn run_command(plane: &ControlPlane, command: &[String]) -> Result<ExitStatus> {
    let (program, args) = command.split_first().context("no command")?;
    let kubeconfig = plane.kubeconfig_path();
    let mut command = bound(program);
    command
        .args(args)
        .env(DIR_VAR, plane.dir())
        .env(KUBECONFIG_VAR, &kubeconfig)
        .env("KUBECONFIG", &kubeconfig);
    command.env("PATH", path_with(&Assets::find()?.kubectl)?);
    let mut terminated = signal(SignalKind::terminate()).context("failed to listen for signals")?;
    // Ctrl-C reaches the command by itself; we only must outlive it.
    let mut interrupted = signal(SignalKind::interrupt()).context("failed to listen for signals")?;
    let mut child = spawn(command).with_context(|| format!("failed to start {program}"))?;
    // None when it has ended already.
    let record = Record::of(program, child.id(), plane.dir()).ok();
    let ended = tokio::task::spawn_blocking(move || child.wait());
    tokio::pin!(ended);
    loop {
        tokio::select! {
            status = &mut ended => return status.context("failed to await the command")?.context("failed to await the command"),
            _ = terminated.recv() => if let Some(record) = &record { record.stop(GRACE).await? },
            _ = interrupted.recv() => {}
        }
    }
}

/// The guard outlives us by a moment: when its input ends, we are gone.
fn start_guard(dir: &Path) -> Result<std::process::Child> {
    let me = std::env::current_exe().context("failed to find this program")?;
    let mut command = Command::new(me);
    command
        .arg("guard")
        .arg("--dir")
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().context("failed to start the guard")
}

async fn agent(
    kubeconfig: &Path,
    namespace: String,
    gateway: String,
    sim_control: String,
) -> Result<ExitCode> {
    let client =
        kubeconfig::client(&Kubeconfig::read_from(kubeconfig).context("failed to read the kubeconfig")?)
            .await?;
    Agent {
        client,
        namespace,
        gateway,
        sim_control,
    }
    .run()
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn guard(dir: &Path) -> Result<ExitCode> {
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).context("failed to watch the parent")?;
    end_marked(DIR_VAR, &dir.to_string_lossy()).await?;
    Ok(ExitCode::SUCCESS)
}

async fn up(server: &Server, dir: PathBuf) -> Result<ExitCode> {
    let plane = start(server, Some(dir), Lifetime::Kept).await?;
    say(&format!(
        "export KUBECONFIG={}",
        plane.kubeconfig_path().display()
    ));
    Ok(ExitCode::SUCCESS)
}

async fn down(dir: &Path) -> Result<ExitCode> {
    for ended in control_plane::stop_kept(dir).await? {
        eprintln!("✓ ended {} (pid {})", ended.name, ended.pid);
    }
    Ok(ExitCode::SUCCESS)
}

fn path_with(program: &Path) -> Result<std::ffi::OsString> {
    let folder = program.parent().context("kubectl has no folder")?.to_path_buf();
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&rest)))
        .context("failed to build PATH")
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let by_signal = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| 128 + signal);
    let code = status.code().or(by_signal).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

#[expect(clippy::print_stdout, reason = "the line is made for eval")]
fn say(line: &str) {
    println!("{line}");
}
