//! What cannot be reproduced: lines of `exclusions.txt`, each with a reason.

use std::path::Path;

use crate::pairs::Pair;

/// A line of the file.
pub struct Exclusion {
    /// Its number in the file.
    pub line: usize,
    /// Which pairs.
    matcher: Matcher,
    /// Why.
    pub reason: String,
}

enum Matcher {
    /// A whole group by its number.
    Group(u32),
    /// A method and a path template (`*`: any), and a text that the recorded pair holds.
    Call {
        method: String,
        template: String,
        text: Option<String>,
    },
}

/// How a reason begins that is about a call which our own client makes.
pub const ON_OUR_PATH: &str = "on our path, because ";

/// All lines that are no comments: `group N | reason` or `METHOD TEMPLATE [when TEXT] | reason`.
pub fn read() -> Vec<Exclusion> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/exclusions.txt");
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|(index, line)| parse(index + 1, line)).collect()
}

fn parse(line: usize, text: &str) -> Exclusion {
    let (what, reason) = text
        .rsplit_once(" | ")
        .unwrap_or_else(|| panic!("line {line} has no reason"));
    assert!(reason.len() > 15, "line {line}: a reason that a stranger accepts");
    let (call, text) = what
        .split_once(" when ")
        .map_or((what, None), |(call, text)| (call, Some(text.trim().to_owned())));
    let (method, template) = call
        .trim()
        .split_once(' ')
        .unwrap_or_else(|| panic!("line {line}: METHOD TEMPLATE"));
    let matcher = if method == "group" {
        Matcher::Group(template.parse().unwrap())
    } else {
        Matcher::Call {
            method: method.to_owned(),
            template: template.trim().to_owned(),
            text,
        }
    };
    Exclusion {
        line,
        matcher,
        reason: reason.trim().to_owned(),
    }
}

impl Exclusion {
    /// Whether it is about a pair.
    pub fn is_about(&self, pair: &Pair) -> bool {
        match &self.matcher {
            Matcher::Group(number) => *number == pair.number(),
            Matcher::Call {
                method,
                template,
                text,
            } => {
                let any = |pattern: &str, value: &str| {
                    pattern == "*"
                        || pattern == value
                        || pattern
                            .strip_suffix('*')
                            .is_some_and(|start| value.starts_with(start))
                };
                any(method, &pair.method)
                    && any(template, &pair.template())
                    && text.as_ref().is_none_or(|text| pair.line.contains(text))
            }
        }
    }
}

/// Whether our own client makes this call.
pub fn on_our_path(pair: &Pair) -> bool {
    let template = pair.template();
    let vm = template.strip_prefix("/nodes/{node}/qemu/{vmid}");
    let of_vm = vm.is_some_and(|rest| {
        matches!(
            rest,
            "/clone"
                | "/config"
                | "/resize"
                | "/status/start"
                | "/status/stop"
                | "/status/shutdown"
                | "/status/current"
        ) || (rest.is_empty() && pair.method == "DELETE")
            || rest.starts_with("/firewall/options")
            || rest.starts_with("/firewall/rules")
            || rest.starts_with("/firewall/ipset")
    });
    let reads = [
        "/cluster/resources",
        "/cluster/status",
        "/cluster/nextid",
        "/access/permissions",
        "/pools",
    ];
    of_vm
        || template.starts_with("/nodes/{node}/tasks")
        || (pair.method == "GET" && reads.contains(&template.as_str()))
}
