//! The demo: one Contract becomes a machine, on a real control plane and the Proxmox simulator. Owns the order of the
//! steps, what happens at the end, and exit codes; must not decide anything that the operator decides.

mod examples;
mod failure;
mod follow;
mod lines;
mod proof;
mod report;
mod screen;
mod site;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use testkit::{Lifetime, process};
use tokio::signal::unix::{SignalKind, signal};

use self::failure::{Act, Failure};
use self::report::Report;
use self::screen::Screen;
use self::site::Site;

/// Exit code when another demo is in the way.
const IN_THE_WAY: u8 = 2;
/// Exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

/// What the demo can be told.
#[derive(Args)]
pub struct DemoArgs {
    /// Leave everything running at the end; `demo-down` removes it.
    #[arg(long)]
    keep: bool,
    /// Print one JSON object last, alone on stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Where a demo lives.
#[derive(Args)]
pub struct Place {
    /// Folder for its logs, keys and data (short: it holds sockets). Beside the programs if not given.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Place {
    /// The folder, and the lock that says who is at work on it.
    fn open(self) -> Result<(PathBuf, File)> {
        let dir = match self.dir {
            Some(dir) => dir,
            None => site::programs()?.with_file_name("demo"),
        };
        fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
        let dir = dir
            .canonicalize()
            .context("failed to resolve the demo's folder")?;
        claim(&dir)?;
        let path = dir.with_extension("lock");
        let lock = File::create(&path).with_context(|| format!("failed to create {}", path.display()))?;
        Ok((dir, lock))
    }
}

/// A demo's folder is emptied at its end: only one that was empty, or is a demo's, is taken.
fn claim(dir: &Path) -> Result<()> {
    let mark = dir.join(".demo");
    let mut entries = fs::read_dir(dir).with_context(|| format!("failed to read {}", dir.display()))?;
    if entries.next().is_some() && !mark.exists() {
        bail!("{} holds other files: choose an empty folder", dir.display());
    }
    File::create(&mark).with_context(|| format!("failed to create {}", mark.display()))?;
    Ok(())
}

/// How it went.
enum End {
    Played(Report),
    Failed(Failure),
    Interrupted,
}

/// Plays the demo.
///
/// # Errors
/// When the demo's folder can't be used; what fails later is told on the screen and by the exit code.
pub async fn run(args: DemoArgs) -> Result<ExitCode> {
    let DemoArgs { keep, json, place } = args;
    let (dir, lock) = place.open()?;
    let screen = Screen::new(json);
    if let Some(other) = in_the_way(&dir, &lock)? {
        screen.wrong(&other);
        screen.json(&failure::json(&other))?;
        return Ok(ExitCode::from(IN_THE_WAY));
    }
    let lifetime = if keep { Lifetime::Kept } else { Lifetime::Bound };
    let mut interrupted = signal(SignalKind::interrupt()).context("failed to listen for signals")?;
    let mut terminated = signal(SignalKind::terminate()).context("failed to listen for signals")?;
    // Holds the processes until the end has been told.
    let mut site = None;
    let end = tokio::select! {
        end = play(&dir, lifetime, &screen, &mut site) => end.map_or_else(End::Failed, End::Played),
        _ = interrupted.recv() => End::Interrupted,
        _ = terminated.recv() => End::Interrupted,
    };
    screen.clear();
    let left = Left {
        dir: &dir,
        site,
        keep,
    };
    let code = left.tell(&screen, &end).await?;
    drop(lock);
    Ok(code)
}

/// Removes a kept demo.
///
/// # Errors
/// When a process can't be ended or the folder can't be removed.
pub async fn down(place: Place) -> Result<ExitCode> {
    let (dir, lock) = place.open()?;
    let screen = Screen::new(false);
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        screen.wrong("a demo is being played right now: end it with Ctrl-C in its own terminal");
        return Ok(ExitCode::from(IN_THE_WAY));
    }
    let ended = process::stop_all(&dir, process::GRACE).await?;
    for process in &ended {
        screen.done(&process.name, &format!("ended (pid {})", process.pid));
    }
    fs::remove_dir_all(&dir).with_context(|| format!("failed to remove {}", dir.display()))?;
    screen.line(if ended.is_empty() {
        "No demo was up."
    } else {
        "The demo is gone."
    });
    Ok(ExitCode::SUCCESS)
}

/// The other demo that is in the way, if there is one, and what to do about it.
fn in_the_way(dir: &Path, lock: &File) -> Result<Option<String>> {
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let says = "another demo is being played right now: wait for its end, or end it with Ctrl-C";
            return Ok(Some(says.to_owned()));
        }
        Err(TryLockError::Error(error)) => return Err(error).context("failed to lock the demo's folder"),
    }
    let running = process::running(dir)?;
    Ok((!running.is_empty()).then(|| {
        format!(
            "a demo is up already ({})\n  To go on with it:  export KUBECONFIG={}\n  To remove it:      ./justw demo-down",
            running.join(", "),
            dir.join("kubeconfig").display()
        )
    }))
}

/// Starts everything, applies the examples and follows them until the machine runs and that is proven.
async fn play(
    dir: &Path,
    lifetime: Lifetime,
    screen: &Screen,
    slot: &mut Option<Site>,
) -> Result<Report, Failure> {
    let site = slot.insert(Site::start(dir, lifetime, screen).await?);
    let examples = examples::read(&site.sim).map_err(|error| Failure::new(Act::Examples, error, dir))?;
    let mut story = follow::Story::start(site, screen);
    story.accounts(&examples).await?;
    story.provider(&examples).await?;
    let before = site
        .writes()
        .map_err(|error| Failure::new(Act::Proof, error, dir))?;
    let rented = story.contracts(&examples).await?;
    let writes = site
        .writes()
        .map_err(|error| Failure::new(Act::Proof, error, dir))?
        .since(before);
    let world = story.into_world();
    let proven = proof::check(site, &world, &rented).await;
    let deviations = proven.map_err(|error| Failure::new(Act::Proof, error, dir))?;
    Ok(Report::new(&world, &rented, writes, deviations))
}

/// What is there when the play is over.
struct Left<'a> {
    dir: &'a Path,
    site: Option<Site>,
    keep: bool,
}

impl Left<'_> {
    /// Tells how it went, removes what shall not stay, and gives the exit code.
    async fn tell(self, screen: &Screen, end: &End) -> Result<ExitCode> {
        let code = match end {
            End::Played(report) => report.tell(screen),
            End::Failed(failure) => failure.tell(screen),
            End::Interrupted => {
                screen.wrong("interrupted: taking everything down");
                ExitCode::from(INTERRUPTED)
            }
        };
        let kept = self.keep && !matches!(end, End::Interrupted);
        match &self.site {
            Some(site) if kept => site.tell_what_next(screen),
            _ => self.take_down(screen, end).await?,
        }
        match end {
            End::Played(report) => screen.json(&report.json())?,
            End::Failed(failure) => screen.json(&failure.json())?,
            End::Interrupted => screen.json(&failure::json("interrupted"))?,
        }
        Ok(code)
    }

    /// Ends all processes. The logs stay where they may still be wanted.
    async fn take_down(&self, screen: &Screen, end: &End) -> Result<()> {
        process::stop_all(self.dir, process::GRACE).await?;
        match end {
            End::Played(report) if report.ok() => {
                self.remove()?;
                screen.line("Everything is down again. ./justw demo --keep leaves it up to look around.");
            }
            End::Interrupted => {
                self.remove()?;
                screen.line("Everything is down again.");
            }
            _ => screen.line(&format!(
                "Everything is down again; the logs are in {}.",
                self.dir.display()
            )),
        }
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        fs::remove_dir_all(self.dir).with_context(|| format!("failed to remove {}", self.dir.display()))
    }
}
