//! Tasks as data: their ids, logs and ends. The work itself is in `work`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::Principal;
use super::moment::Moment;
use super::pace::Pace;
use super::work::Job;

/// The parts of a UPID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upid {
    /// Where the worker runs.
    pub node: String,
    /// Its process.
    pub pid: u32,
    /// Hundredths of a second between the node's start and the worker's.
    pub pstart: u64,
    /// Seconds since the epoch.
    pub starttime: u64,
    /// The kind of task.
    pub kind: String,
    /// The guest it is about; of a clone, its source.
    pub id: String,
    /// Who started it.
    pub who: Principal,
}

impl Upid {
    /// The text form.
    pub fn text(&self) -> String {
        let Self {
            node,
            pid,
            pstart,
            starttime,
            kind,
            id,
            who,
        } = self;
        format!(
            "UPID:{node}:{pid:08X}:{pstart:08X}:{starttime:08X}:{kind}:{id}:{}:",
            who.full()
        )
    }
}

/// The node that a UPID names, if it looks like one.
pub fn upid_node(text: &str) -> Option<&str> {
    let parts: Vec<&str> = text.strip_prefix("UPID:")?.split(':').collect();
    let [node, pid, pstart, start, kind, _id, user, ""] = parts.as_slice() else {
        return None;
    };
    let hex = |part: &str| part.len() >= 8 && part.chars().all(|c| c.is_ascii_hexdigit());
    (hex(pid) && hex(pstart) && hex(start) && !kind.is_empty() && user.contains('@')).then_some(node)
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// "OK" or the error text.
    pub status: String,
    /// When.
    pub at: Moment,
}

/// What a fault does to a task before its last step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doom {
    /// It fails with this text and cleans up.
    Fail(String),
    /// Its worker is killed and leaves everything as it is.
    Kill,
    /// It does its work and ends with this many warnings.
    Warn(u32),
    /// It does its work, and then nobody knows of it any more.
    Lose,
    /// It stays at its last step for ever.
    Endless,
}

/// A task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub upid: Upid,
    /// Its log.
    pub log: Vec<String>,
    /// Its end, if it has come.
    pub end: Option<End>,
    /// What it does.
    pub job: Job,
    /// The step that comes next.
    pub stage: u8,
    /// When it began to wait for a lock file.
    pub waiting: Option<Moment>,
    /// What keeps it from finishing.
    pub doom: Option<Doom>,
    /// How fast it works.
    pub pace: Pace,
    /// Drives that it has made so far: key and value.
    pub made: Vec<(String, String)>,
    /// The dead storage that it hangs on, deaf to every signal.
    pub stuck: Option<String>,
}

impl Task {
    /// Whether a caller counts as its owner.
    pub fn owned_by(&self, who: &Principal) -> bool {
        self.upid.who == *who || (who.token.is_none() && self.upid.who.user == who.user)
    }

    /// What every answer says of it; with its process or without.
    fn head(&self, process: bool) -> Value {
        let upid = &self.upid;
        let mut head = json!({
            "upid": upid.text(), "node": upid.node, "starttime": upid.starttime, "type": upid.kind, "id": upid.id,
        });
        if process {
            (head["pid"], head["pstart"]) = (json!(upid.pid), json!(upid.pstart));
        }
        head
    }

    fn name_owner(&self, said: &mut Value) {
        let who = &self.upid.who;
        said["user"] = Value::from(who.user.as_str());
        if let Some(token) = &who.token {
            said["tokenid"] = Value::from(token.as_str());
        }
    }

    /// The answer of the status call.
    pub fn status(&self) -> Value {
        let mut status = self.head(true);
        self.name_owner(&mut status);
        match &self.end {
            None => status["status"] = Value::from("running"),
            Some(end) => {
                status["status"] = Value::from("stopped");
                status["exitstatus"] = Value::from(end.status.as_str());
            }
        }
        status
    }

    /// The same task as the cluster knew it when its node died.
    #[must_use]
    pub fn before(&self, death: Option<Moment>) -> Self {
        let mut task = self.clone();
        if death.is_some_and(|death| task.end.as_ref().is_some_and(|end| end.at >= death)) {
            task.end = None;
        }
        task
    }

    /// An entry of a node's list.
    pub fn listed(&self) -> Value {
        let mut entry = self.head(true);
        match &self.end {
            None => {
                entry["user"] = Value::from(self.upid.who.full());
                entry["status"] = Value::from("RUNNING");
                entry["saved"] = Value::from("0");
            }
            Some(end) => {
                self.name_owner(&mut entry);
                entry["status"] = Value::from(end.status.as_str());
                entry["endtime"] = Value::from(end.at.secs());
            }
        }
        entry
    }

    /// An entry of the cluster's list.
    pub fn listed_in_cluster(&self) -> Value {
        let mut entry = self.head(false);
        self.name_owner(&mut entry);
        match &self.end {
            None => entry["pid"] = Value::from(self.upid.pid),
            Some(end) => {
                entry["status"] = Value::from(end.status.as_str());
                entry["endtime"] = Value::from(end.at.secs());
                entry["saved"] = Value::from("1");
            }
        }
        entry
    }
}

/// All tasks by number, oldest first, found by UPID.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tasks {
    by_number: BTreeMap<u64, Task>,
    numbers: BTreeMap<String, u64>,
    next: u64,
}

/// How many ended tasks are kept.
const KEPT: usize = 20_000;

impl Tasks {
    /// Adds a task and gives its number.
    pub fn add(&mut self, task: Task) -> u64 {
        let number = self.next;
        self.put(number, task);
        number
    }

    /// A task by its UPID.
    pub fn find(&self, upid: &str) -> Option<&Task> {
        self.by_number.get(self.numbers.get(upid)?)
    }

    /// The number of a UPID.
    pub fn number(&self, upid: &str) -> Option<u64> {
        self.numbers.get(upid).copied()
    }

    /// A task by number.
    pub fn get(&self, number: u64) -> Option<&Task> {
        self.by_number.get(&number)
    }

    /// The numbers of the tasks that run on a node.
    pub fn running_on(&self, node: &str) -> impl Iterator<Item = u64> {
        let running = self.by_number.iter().filter(|(_, task)| task.end.is_none());
        running
            .filter(move |(_, task)| task.upid.node == node)
            .map(|(number, _)| *number)
    }

    /// Tasks that are new, different or forgotten; what has ended does not change any more.
    pub fn changes_since(&self, old: &Self) -> serde_json::Result<Vec<(u64, Option<Task>)>> {
        let open = old.by_number.iter().find(|(_, task)| task.end.is_none());
        let first = open.map_or(old.next, |(number, _)| *number);
        let known = old.by_number.range(first..).map(|(number, _)| *number);
        let forgotten = known.filter(|number| !self.by_number.contains_key(number));
        let mut changed: Vec<(u64, Option<Task>)> = forgotten.map(|number| (number, None)).collect();
        for (number, task) in self.by_number.range(first..) {
            let before = old.by_number.get(number);
            let same = match before {
                None => false,
                Some(before) if before.end.is_some() => true,
                Some(before) => serde_json::to_string(before)? == serde_json::to_string(task)?,
            };
            if !same {
                changed.push((*number, Some(task.clone())));
            }
        }
        Ok(changed)
    }

    /// Makes changes.
    pub fn change(&mut self, changes: Vec<(u64, Option<Task>)>) {
        for (number, task) in changes {
            match task {
                Some(task) => self.put(number, task),
                None => self.remove(number),
            }
        }
    }

    /// Puts a task in its place.
    fn put(&mut self, number: u64, task: Task) {
        self.next = self.next.max(number + 1);
        self.numbers.insert(task.upid.text(), number);
        self.by_number.insert(number, task);
        if self.by_number.len() > KEPT
            && let Some((_, old)) = self.by_number.pop_first()
        {
            self.numbers.remove(&old.upid.text());
        }
    }

    /// A task by number, to change it.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Task> {
        self.by_number.get_mut(&number)
    }

    /// Forgets a task.
    pub fn remove(&mut self, number: u64) {
        if let Some(task) = self.by_number.remove(&number) {
            self.numbers.remove(&task.upid.text());
        }
    }

    /// All tasks, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Task> {
        self.by_number.values().rev()
    }
}
