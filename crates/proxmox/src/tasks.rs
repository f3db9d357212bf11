//! Tasks: an answer with a task id says nothing; only the task's end does.
//!
//! Owns reading and awaiting tasks; must not know what they were for.

use std::time::Duration;

use domain::ids::NodeName;
use domain::pve::{Class, Upid};
use proxmox_api::client::Client as _;
use serde::Serialize;

use crate::error::{Error, task_class};
use crate::reads::Pve;
use crate::tolerant::Row;

const FIRST_POLL: Duration = Duration::from_millis(100);
const LAST_POLL: Duration = Duration::from_secs(2);

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskStatus {
    /// It runs.
    Running,
    /// It ended.
    Ended {
        /// How.
        exit: Exit,
    },
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It did what it should.
    Ok,
    /// It did, with so many warnings in its log.
    Warnings(u32),
    /// It did not; the text says why.
    Failed(String),
}

impl Exit {
    pub(crate) fn read(text: &str) -> Self {
        match text
            .strip_prefix("WARNINGS: ")
            .and_then(|count| count.parse().ok())
        {
            _ if text == "OK" => Self::Ok,
            Some(count) => Self::Warnings(count),
            None => Self::Failed(text.to_owned()),
        }
    }

    /// Whether it did what it should.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        matches!(self, Self::Ok | Self::Warnings(_))
    }

    /// What a failure means; nothing if there is none.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Ok | Self::Warnings(_) => None,
            Self::Failed(text) => Some(task_class(text)),
        }
    }
}

/// Which tasks of a node to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskSource {
    /// Running ones.
    Active,
    /// Running and ended ones.
    All,
}

/// A query of a node's tasks.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TaskQuery {
    /// Which tasks.
    pub source: TaskSource,
    /// Only those started since, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
}

/// One task of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// Its id, which also holds node, kind, object and start.
    pub upid: Upid,
    /// Who started it, without the token's id.
    pub user: String,
    /// The token's id, if a token started it.
    pub token: Option<String>,
    /// How it ended; nothing while it runs.
    pub exit: Option<Exit>,
}

impl TaskRow {
    fn read(row: &Row) -> Option<Self> {
        let upid: Upid = row.text("upid")?.parse().ok()?;
        let user = row.text("user").unwrap_or_else(|| upid.user().to_owned());
        // While a task runs, `user` holds the token's id as well.
        let (user, inside) = match user.split_once('!') {
            Some((user, token)) => (user.to_owned(), Some(token.to_owned())),
            None => (user, None),
        };
        let running = |text: &String| !matches!(text.as_str(), "RUNNING" | "running");
        let exit = row.text("status").filter(running).map(|text| Exit::read(&text));
        Some(Self {
            upid,
            user,
            token: row.text("tokenid").or(inside),
            exit,
        })
    }
}

#[derive(Serialize)]
struct Listing {
    #[serde(flatten)]
    query: TaskQuery,
    limit: u32,
}

impl Pve {
    /// The tasks of a node that we may see: our own, at least.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn node_tasks(&self, node: &NodeName, query: TaskQuery) -> Result<Vec<TaskRow>, Error> {
        let listing = Listing { query, limit: 1000 };
        let rows: Option<Vec<Row>> = self
            .transport
            .get(&format!("/nodes/{node}/tasks"), &listing)
            .await
            .map_err(|failure| Error::during(failure, format!("list the tasks of {node}")))?;
        Ok(rows
            .unwrap_or_default()
            .iter()
            .filter_map(TaskRow::read)
            .collect())
    }

    /// Where a task stands, asked at the node that runs it.
    ///
    /// # Errors
    /// If there is no usable answer; [`Class::Gone`] if the node does not know the task.
    pub async fn task_status(&self, upid: &Upid) -> Result<TaskStatus, Error> {
        let row: Row = self
            .transport
            .get(&format!("/nodes/{}/tasks/{upid}/status", upid.node()), &())
            .await
            .map_err(|failure| Error::during(failure, format!("read the task {upid}")))?;
        Ok(match (row.text("status").as_deref(), row.text("exitstatus")) {
            (_, Some(exit)) => TaskStatus::Ended {
                exit: Exit::read(&exit),
            },
            (Some("stopped"), None) => TaskStatus::Ended {
                exit: Exit::Failed("unexpected status".to_owned()),
            },
            _ => TaskStatus::Running,
        })
    }

    /// The first lines of a task's log.
    ///
    /// # Errors
    /// If there is no usable answer. An unknown task has a log of one line that says so.
    pub async fn task_log(&self, upid: &Upid, limit: u32) -> Result<Vec<String>, Error> {
        let rows: Option<Vec<Row>> = self
            .transport
            .get(
                &format!("/nodes/{}/tasks/{upid}/log", upid.node()),
                &[("start", 0), ("limit", limit)]
                    .into_iter()
                    .collect::<std::collections::BTreeMap<_, _>>(),
            )
            .await
            .map_err(|failure| Error::during(failure, format!("read the log of the task {upid}")))?;
        Ok(rows
            .unwrap_or_default()
            .iter()
            .filter_map(|row| row.text("t"))
            .collect())
    }

    /// Polls a task from every 100 ms to every 2 s until it ends or the budget is spent.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn await_task(&self, upid: &Upid, budget: Duration) -> Result<TaskStatus, Error> {
        let mut left = budget;
        let mut pause = FIRST_POLL;
        loop {
            let status = self.task_status(upid).await?;
            if status != TaskStatus::Running || left.is_zero() {
                return Ok(status);
            }
            let nap = pause.min(left);
            tokio::time::sleep(nap).await;
            left = left.saturating_sub(nap);
            pause = (pause * 3 / 2).min(LAST_POLL);
        }
    }

    /// Ends a running task of ours. The task then fails and cleans up what it made.
    ///
    /// # Errors
    /// If Proxmox refuses or there is no usable answer.
    pub async fn cancel_task(&self, upid: &Upid) -> Result<(), Error> {
        self.nodes()
            .node(upid.node())
            .tasks()
            .upid(upid.as_str())
            .delete()
            .await
            .map_err(|failure| Error::during(failure, format!("cancel the task {upid}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_read() {
        assert_eq!(Exit::read("OK"), Exit::Ok);
        assert_eq!(Exit::read("WARNINGS: 3"), Exit::Warnings(3));
        assert_eq!(
            Exit::read("WARNINGS: many"),
            Exit::Failed("WARNINGS: many".into())
        );
        assert!(Exit::read("WARNINGS: 1").succeeded() && !Exit::read("").succeeded());
        let lost = Exit::read("unable to create VM 110: config file already exists");
        assert_eq!((lost.class(), Exit::Ok.class()), (Some(Class::LostRace), None));
    }

    #[test]
    fn running_and_ended_rows_name_the_same_owner() {
        let read = |text: &str| TaskRow::read(&serde_json::from_str(text).unwrap());
        let upid = "UPID:pve1:00000715:000326BF:6AFFD698:qmclone:9002:dc@pve!dc:";
        let running = read(&format!(
            r#"{{"upid":"{upid}","user":"dc@pve!dc","status":"RUNNING","saved":"0"}}"#
        ))
        .unwrap();
        let ended = read(&format!(
            r#"{{"upid":"{upid}","user":"dc@pve","tokenid":"dc","status":"OK","endtime":1}}"#
        ))
        .unwrap();
        assert_eq!((&running.user, &running.token), (&ended.user, &ended.token));
        assert_eq!((running.exit, ended.exit), (None, Some(Exit::Ok)));
        assert_eq!(read(r#"{"upid":"nonsense"}"#), None);
    }
}
