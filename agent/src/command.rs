//! Runs one program of the host to its end: bounded in time and output, with nothing of our own surroundings. Must not
//! know what any program does.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// No program of ours says more.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;
const MAX_COMPLAINT: u64 = 4096;

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It did not start, or could not be fed or read.
    #[error("failed to run {program}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It said no.
    #[error("{program} failed: {said}")]
    Refused {
        /// The program.
        program: String,
        /// What it said.
        said: String,
    },
    /// It took too long, and was ended; what it did is unknown.
    #[error("{program} did not end within {limit:?}")]
    Slow {
        /// The program.
        program: String,
        /// How long it was given.
        limit: Duration,
    },
}

impl CommandError {
    /// What the program said when it refused.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        match self {
            Self::Refused { said, .. } => Some(said),
            Self::Run { .. } | Self::Slow { .. } => None,
        }
    }
}

/// Where a program is.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    PATH.split(':')
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
}

/// A program with nothing of our own surroundings; it ends with whoever holds it.
#[must_use]
pub fn bare(program: &str) -> Command {
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .current_dir("/")
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a program with this on its standard input, and gives its standard output.
///
/// # Errors
/// When it cannot be run, refuses, or takes too long.
pub async fn run(
    program: &str,
    arguments: &[&str],
    input: &[u8],
    limit: Duration,
) -> Result<Vec<u8>, CommandError> {
    let work = async {
        let mut command = bare(program);
        command.args(arguments);
        complete(command, input).await
    };
    let ended = tokio::time::timeout(limit, work).await;
    let (success, output, complaint) = ended
        .map_err(|_| CommandError::Slow {
            program: program.to_owned(),
            limit,
        })?
        .map_err(|source| CommandError::Run {
            program: program.to_owned(),
            source,
        })?;
    if success {
        return Ok(output);
    }
    Err(CommandError::Refused {
        program: program.to_owned(),
        said: String::from_utf8_lossy(&complaint).trim().to_owned(),
    })
}

async fn complete(mut command: Command, input: &[u8]) -> io::Result<(bool, Vec<u8>, Vec<u8>)> {
    let mut child = command.spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // One that ends without reading says why on its standard error.
            let _unread = stdin.write_all(input).await;
        }
    };
    let ((), output, complaint) = tokio::join!(feed, read(stdout, MAX_OUTPUT), read(stderr, MAX_COMPLAINT));
    let status = child.wait().await?;
    Ok((status.success(), output?, complaint?))
}

async fn read(from: Option<impl AsyncRead + Unpin>, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        (&mut from).take(max).read_to_end(&mut bytes).await?;
        // What is over the bound is read, so that the program can end, and dropped.
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn output_comes_back_and_refusals_say_why() {
        assert_eq!(run("cat", &[], b"hello", LIMIT).await.unwrap(), b"hello");
        let refused = run("ls", &["/nowhere"], b"", LIMIT).await.unwrap_err();
        assert!(refused.said().unwrap().contains("/nowhere"), "{refused}");
        let absent = run("no-such-program", &[], b"", LIMIT).await.unwrap_err();
        assert!(matches!(absent, CommandError::Run { .. }));
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended() {
        let slow = run("sleep", &["600"], b"", Duration::from_millis(50))
            .await
            .unwrap_err();
        assert_eq!(slow.to_string(), "sleep did not end within 50ms");
    }

    #[tokio::test]
    async fn a_program_sees_nothing_of_our_surroundings() {
        let seen = String::from_utf8(run("env", &[], b"", LIMIT).await.unwrap()).unwrap();
        let mut names: Vec<&str> = seen.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH"]);
    }
}
