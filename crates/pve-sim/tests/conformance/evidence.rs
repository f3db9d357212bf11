//! What belongs together in a group: a request, the end and the log of the task that it started, what was read after it.
//! All of it is evidence of the state in which the request was made.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use regex::Regex;

use crate::pairs::Pair;

/// A request with what the recording knows of its effect.
pub struct Unit<'a> {
    /// The request.
    pub asked: &'a Pair,
    /// The status call that showed the end of its task.
    pub end: Option<&'a Pair>,
    /// The log call after that end.
    pub log: Option<&'a Pair>,
    /// The configuration that was read next.
    pub read: Option<&'a Pair>,
    /// All of its group.
    pub beside: Vec<&'a Pair>,
    said: String,
}

/// Splits a group.
pub fn units<'a>(group: &[&'a Pair]) -> Vec<Unit<'a>> {
    let mut units: Vec<Unit<'a>> = Vec::new();
    let mut taken = vec![false; group.len()];
    for (index, pair) in group.iter().enumerate() {
        if taken[index] {
            continue;
        }
        let mut unit = Unit {
            asked: pair,
            end: None,
            log: None,
            read: None,
            beside: group.to_vec(),
            said: String::new(),
        };
        for (at, other) in group.iter().copied().enumerate().filter(|(at, _)| *at != index) {
            let same_task = pair.writes() && pair.upid().is_some() && other.upid_of_path() == pair.upid();
            let last = other.segments.last().map_or("", String::as_str);
            if same_task && last == "status" && other.data()["status"] == "stopped" {
                (unit.end, taken[at]) = (Some(other), true);
            } else if same_task && last == "log" && other.line.contains("\"TASK ") {
                (unit.log, taken[at]) = (Some(other), true);
            }
        }
        let puts = pair.method == "PUT" && pair.template().ends_with("/config");
        if puts
            && let Some(next) = group.get(index + 1).copied()
            && next.method == "GET"
            && next.status() == 200
            && next.target == pair.target
        {
            (unit.read, taken[index + 1]) = (Some(next), true);
        }
        unit.said = unit.all_said();
        units.push(unit);
    }
    units
}

impl<'a> Unit<'a> {
    /// All its pairs.
    pub fn pairs(&self) -> impl Iterator<Item = &'a Pair> {
        [Some(self.asked), self.end, self.log, self.read]
            .into_iter()
            .flatten()
    }

    /// The exit status of its task.
    pub fn exit(&self) -> Option<&str> {
        self.end?.data()["exitstatus"].as_str()
    }

    /// All that its answers say, reasons and exit status and errors and log.
    fn all_said(&self) -> String {
        let told = self.asked.raw["json"]["message"].as_str().unwrap_or_default();
        let exit = self.exit().unwrap_or_default();
        let mut said = format!("{}\n{told}\n{exit}\n", self.asked.reason());
        if let Some(errors) = self.asked.raw["json"]["errors"].as_object() {
            said.extend(
                errors
                    .values()
                    .filter_map(|error| error.as_str())
                    .map(|error| format!("{error}\n")),
            );
        }
        if let Some(log) = self.end.and_then(|end| end.raw["tasklog"].as_array()) {
            said.extend(
                log.iter()
                    .filter_map(|line| line.as_str())
                    .map(|line| format!("{line}\n")),
            );
        }
        said
    }

    /// The first group of a pattern in what is said.
    pub fn find(&self, pattern: &str) -> Option<String> {
        static READ: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
        let mut read = READ.lock().unwrap();
        let pattern = read
            .entry(pattern.to_owned())
            .or_insert_with(|| Regex::new(pattern).unwrap());
        let found = pattern.captures(&self.said)?;
        Some(found.get(1).or_else(|| found.get(0))?.as_str().to_owned())
    }

    /// Whether a text is said.
    pub fn says(&self, text: &str) -> bool {
        self.said.contains(text)
    }

    /// Whether a login was refused in the words of daemons before 9.1.5.
    pub fn old_words(&self) -> bool {
        let words = ["token", "expired", "disabled", "PVE ticket"];
        let reason = self.asked.reason();
        self.asked.status() == 401
            && words.iter().any(|word| reason.contains(word))
            && !reason.contains("csrf")
    }

    /// Whether the request was taken: a good answer, and a good end where it is known.
    pub fn good(&self) -> bool {
        self.asked.status() == 200 && self.exit().is_none_or(|exit| exit == "OK")
    }
}
