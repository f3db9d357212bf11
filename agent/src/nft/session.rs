//! An nft that stays and takes one transaction a line (`nft -i`).
//!
//! It says nothing when all went well, so after each line it is given a word that is no command: once it complains about
//! that, all that came before was about the line. Only standard error is read; nft writes it at once.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin};

use crate::command::bare;

/// Lines until it is replaced: it remembers all of them.
const WORN: u32 = 2000;
/// A complaint is not read further.
const MAX_COMPLAINT: usize = 256 * 1024;
const WORD: &str = "decentmark";

/// Why a line was not done, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// It could not be started.
    #[error("failed to start an nft that stays")]
    Start(#[source] io::Error),
    /// It refused the line; nothing of it was done.
    #[error("nft refused: {0}")]
    Refused(String),
    /// It could not be told, or heard; what became of the line is unknown.
    #[error("failed to talk to nft")]
    Talk(#[source] io::Error),
    /// It ended; what became of the line is unknown.
    #[error("nft ended")]
    Ended,
    /// It took too long; what became of the line is unknown.
    #[error("nft did not answer within {0:?}")]
    Slow(Duration),
}

/// A running nft; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Session {
    _child: Child,
    stdin: ChildStdin,
    stderr: ChildStderr,
    lines: u32,
}

impl Session {
    /// Starts one.
    pub(super) fn start() -> Result<Self, SessionError> {
        let mut command = bare("nft");
        command
            .arg("-i")
            // Neither history nor key bindings of whoever runs us.
            .env("HOME", "/nonexistent")
            .env("INPUTRC", "/dev/null")
            .stdout(Stdio::null());
        let mut child = command.spawn().map_err(SessionError::Start)?;
        let (Some(stdin), Some(stderr)) = (child.stdin.take(), child.stderr.take()) else {
            return Err(SessionError::Start(io::Error::other("it has no pipes")));
        };
        Ok(Self {
            _child: child,
            stdin,
            stderr,
            lines: 0,
        })
    }

    /// Whether it has had its share of lines.
    pub(super) fn worn(&self) -> bool {
        self.lines >= WORN
    }

    /// Has some commands done, one a line, in one transaction.
    pub(super) async fn tell(&mut self, text: &str) -> Result<(), SessionError> {
        self.lines += 1;
        let commands: Vec<&str> = text.lines().collect();
        let mark = format!("{WORD}{}", self.lines);
        let line = format!("{}\n{mark}\n", commands.join("; "));
        self.stdin
            .write_all(line.as_bytes())
            .await
            .map_err(SessionError::Talk)?;
        let said = self.hear(&mark).await?;
        if said.is_empty() {
            Ok(())
        } else {
            Err(SessionError::Refused(said))
        }
    }

    /// What it says until it complains about the mark.
    async fn hear(&mut self, mark: &str) -> Result<String, SessionError> {
        let mut said = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let read = self.stderr.read(&mut chunk).await.map_err(SessionError::Talk)?;
            said.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if read == 0 || said.len() > MAX_COMPLAINT {
                return Err(SessionError::Ended);
            }
            let text = String::from_utf8_lossy(&said);
            if let Some(before) = before_mark(&text, mark) {
                return Ok(before);
            }
        }
    }
}

/// What was said before the complaint about the mark, once that is complete: a line with what is wrong, the mark, and a
/// line that points at it.
fn before_mark(said: &str, mark: &str) -> Option<String> {
    let lines: Vec<&str> = said.lines().collect();
    let at = lines.iter().position(|line| *line == mark)?;
    let pointer = lines.get(at + 1).filter(|line| line.contains('^'))?;
    let complete = said.ends_with('\n') && !pointer.is_empty();
    complete.then(|| lines.get(..at.saturating_sub(1)).unwrap_or_default().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_mark_is_about_the_line() {
        let mark = "Error: syntax error, unexpected newline, expecting string\ndecentmark7\n           ^\n";
        assert_eq!(before_mark(mark, "decentmark7").as_deref(), Some(""));
        let refused = format!("Error: No such file or directory\nadd element ip x y {{ 1 }}\n   ^\n{mark}");
        let said = before_mark(&refused, "decentmark7").unwrap();
        assert!(
            said.starts_with("Error: No such file") && !said.contains("decentmark"),
            "{said}"
        );
    }

    #[test]
    fn half_a_complaint_is_waited_for() {
        let whole = "Error: syntax error\ndecentmark7\n     ^\n";
        for cut in 0..whole.len() {
            assert_eq!(before_mark(&whole[..cut], "decentmark7"), None, "{cut}");
        }
        assert_eq!(before_mark(whole, "decentmark8"), None);
    }
}
