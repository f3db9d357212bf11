//! What each call takes and asks for: the table that `xtask api-table` derives from the API's own schema, and the check
//! of a request against it. Knows no guest and no caller.

mod check;
mod formats;
mod parse;

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;

pub use check::check;
pub use formats::{is_list_of_keys, parse_keys, split_list};
pub use parse::Table;

/// The table of all calls, read once.
pub static TABLE: LazyLock<Table> = LazyLock::new(|| parse::parse(include_str!("table.txt")));

/// Who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a login.
    World,
    /// Whoever is logged in.
    All,
    /// Only root@pam itself.
    Root,
    /// Whoever passes.
    Check(Check),
}

/// An expression of privileges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// All of them.
    And(Vec<Self>),
    /// One of them.
    Or(Vec<Self>),
    /// Privileges on a path, in which `{name}` stands for a parameter.
    Privileges {
        /// The path.
        path: String,
        /// The privileges.
        privileges: Vec<String>,
        /// Whether one of them is enough.
        any: bool,
        /// A parameter without which this fails.
        require: Option<String>,
    },
    /// The caller is the user of the call.
    SelfUser,
    /// Realm.AllocateUser on the realm of the call's user.
    Realm,
    /// One of these privileges on the groups.
    UserGroup {
        /// The privileges.
        privileges: Vec<String>,
        /// Whether the call makes the user.
        creates: bool,
    },
    /// The right to change permissions on a path.
    Modify(String),
}

/// One method of a path.
#[derive(Debug)]
pub struct Method {
    /// Who may call it.
    pub access: Access,
    /// Whether API tokens may.
    pub token: bool,
    /// Whether parameters are taken that the table does not name.
    pub open: bool,
    /// The key under which an index names its children, if this is one.
    pub index: Option<&'static str>,
    /// Its parameters by name.
    pub properties: BTreeMap<&'static str, Property>,
    /// Families of parameters with a number behind the name.
    pub families: BTreeMap<&'static str, Property>,
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// 0 or 1.
    Boolean,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// A list of texts.
    List,
}

/// A parameter, or a key of a value that is a list of keys.
#[derive(Debug)]
pub struct Property {
    /// Its type.
    pub kind: Kind,
    /// Whether it may be missing.
    pub optional: bool,
    /// A form with a name.
    pub format: Option<&'static str>,
    /// The keys that its value lists.
    pub keys: Option<&'static str>,
    /// The smallest and the greatest number.
    pub bounds: [Option<&'static str>; 2],
    /// The fewest and the most characters.
    pub lengths: [Option<usize>; 2],
    /// Another parameter that this one needs.
    pub needs: Option<&'static str>,
    /// The key for which this one stands.
    pub alias: Option<&'static str>,
    /// The key whose value is this one's name.
    pub names: Option<&'static str>,
    /// Whether a value without a key is this one's.
    pub default: bool,
    /// The values that it may have.
    pub values: Vec<&'static str>,
    /// What its whole text must look like.
    pub like: Option<&'static str>,
    /// The same, ready to be asked.
    pattern: OnceLock<Option<Regex>>,
}

impl Method {
    /// A parameter by its name, with its number if it has one.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.get(name).or_else(|| {
            let family = name.trim_end_matches(|c: char| c.is_ascii_digit());
            let number: usize = name.get(family.len()..)?.parse().ok()?;
            let written = number.to_string().len() == name.len() - family.len();
            (written && number < count_of(family)).then(|| self.families.get(family))?
        })
    }
}

/// How many members the numbered families have; the schema does not say it.
fn count_of(family: &str) -> usize {
    match family {
        "parallel" => 3,
        "ide" | "serial" => 4,
        "sata" | "acmedomain" => 6,
        "link" | "numa" => 8,
        "virtiofs" => 10,
        "usb" => 14,
        "virtio" | "hostpci" => 16,
        "scsi" => 31,
        "net" | "ipconfig" => 32,
        _ => 256,
    }
}
