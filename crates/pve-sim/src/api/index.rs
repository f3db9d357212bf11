//! Index pages: what is below a path.

use serde_json::{Map, Value};

use super::call::Call;
use super::reply::{Answer, Reply};

/// An index of the children that the table knows.
pub fn children(key: &str, names: &[&str]) -> Reply {
    let entry = |name: &&str| Value::Object(Map::from_iter([(key.to_owned(), Value::from(*name))]));
    Answer::of(names.iter().map(entry).collect::<Vec<_>>())
}

/// GET /
pub fn root() -> Reply {
    children(
        "subdir",
        &["version", "cluster", "nodes", "storage", "access", "pools"],
    )
}

/// GET /access, which does not name all that is there.
pub fn access(_call: &mut Call<'_>) -> Reply {
    let names = [
        "users", "groups", "roles", "acl", "domains", "openid", "tfa", "ticket", "password",
    ];
    children("subdir", &names)
}
