//! Users, tokens, roles and ACLs, and what they add up to on a path. Knows no call.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::pool::Pools;
use super::privileges;

/// An API token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// Its secret.
    pub secret: String,
    /// Whether it has only the rights that it was given itself.
    pub privsep: bool,
    /// Seconds since the epoch after which it is refused; 0: never.
    pub expire: u64,
    /// A comment.
    pub comment: Option<String>,
}

/// A user.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct User {
    /// Whether it may log in.
    pub enable: bool,
    /// Seconds since the epoch after which it may not log in any more; 0: never.
    pub expire: u64,
    /// A comment.
    pub comment: Option<String>,
    /// What else is known of it: email, firstname, lastname, keys.
    pub about: BTreeMap<String, String>,
    /// Its password, if it can log in with one.
    pub password: Option<String>,
    /// Its tokens by name.
    pub tokens: BTreeMap<String, Token>,
}

impl User {
    /// Whether it may log in at this second.
    pub fn alive(&self, secs: u64) -> bool {
        self.enable && (self.expire == 0 || self.expire > secs)
    }
}

/// Privileges on a path, with whether they propagate.
pub type Privs = BTreeMap<String, bool>;

/// Who calls: a user, or a token of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// user@realm
    pub user: String,
    /// The token's name.
    pub token: Option<String>,
}

impl Principal {
    /// A user or token from user@realm or user@realm!token.
    pub fn parse(full: &str) -> Self {
        match full.split_once('!') {
            Some((user, token)) => Self {
                user: user.to_owned(),
                token: Some(token.to_owned()),
            },
            None => Self {
                user: full.to_owned(),
                token: None,
            },
        }
    }

    /// user@realm or user@realm!token
    pub fn full(&self) -> String {
        match &self.token {
            Some(token) => format!("{}!{token}", self.user),
            None => self.user.clone(),
        }
    }
}

/// One line of the access control list: on a path, a principal has a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AclEntry {
    /// The path.
    pub path: String,
    /// user@realm or user@realm!token
    pub who: String,
    /// The role.
    pub role: String,
    /// Whether it holds below the path.
    pub propagate: bool,
}

/// How roles are called that were made by the change of one privilege.
const CHANGED: &str = "changed:";

/// The whole of user.cfg but the pools.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Access {
    /// Users by user@realm.
    pub users: BTreeMap<String, User>,
    /// Roles with their privileges.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// What tickets are signed with.
    pub key: String,
    /// The list, by path.
    acl: BTreeMap<String, Vec<AclEntry>>,
}

impl Access {
    /// The users and roles of a fresh installation.
    pub fn fresh() -> Self {
        let mut access = Self::default();
        access.users.insert(
            "root@pam".to_owned(),
            User {
                enable: true,
                ..User::default()
            },
        );
        for (role, privs) in privileges::builtin_roles() {
            access.roles.insert(role.to_owned(), privs);
        }
        access
    }

    /// Gives a role on a path.
    pub fn grant(&mut self, entry: AclEntry) {
        let entries = self.acl.entry(entry.path.clone()).or_default();
        entries.retain(|old| old.who != entry.who || old.role != entry.role);
        entries.push(entry);
    }

    /// Gives or takes a single privilege on a path, by a role of its own for that path and id.
    pub fn change_privilege(&mut self, path: &str, who: &str, privilege: &str, give: bool) -> bool {
        let Some(entries) = self.acl.get_mut(path) else {
            return false;
        };
        let mut changed = false;
        for entry in entries.iter_mut().filter(|entry| entry.who == who) {
            let mut privs = self.roles.get(&entry.role).cloned().unwrap_or_default();
            let differs = if give {
                privs.insert(privilege.to_owned())
            } else {
                privs.remove(privilege)
            };
            if differs {
                if !entry.role.starts_with(CHANGED) {
                    entry.role = format!("{CHANGED}{}:{path}:{who}", entry.role);
                }
                self.roles.insert(entry.role.clone(), privs);
            }
            changed = true;
        }
        changed
    }

    /// Forgets everything about a path, as the removal of a guest or pool does.
    pub fn forget(&mut self, path: &str) {
        self.acl.remove(path);
    }

    /// Takes a role on a path.
    pub fn revoke(&mut self, path: &str, who: &str, role: &str) {
        if let Some(entries) = self.acl.get_mut(path) {
            entries.retain(|entry| entry.who != who || entry.role != role);
        }
    }

    fn retain(&mut self, keep: impl Fn(&AclEntry) -> bool) {
        for entries in self.acl.values_mut() {
            entries.retain(&keep);
        }
        self.acl.retain(|_, entries| !entries.is_empty());
    }

    /// Removes a user with its tokens and rights.
    pub fn forget_user(&mut self, name: &str) {
        self.users.remove(name);
        self.retain(|entry| entry.who.split('!').next() != Some(name));
    }

    /// Removes a token with its rights.
    pub fn forget_token(&mut self, user: &str, token: &str) {
        if let Some(user) = self.users.get_mut(user) {
            user.tokens.remove(token);
        }
        let full = format!("{user}!{token}");
        self.retain(|entry| entry.who != full);
    }

    /// Removes a role wherever it was given; false if there is none.
    pub fn forget_role(&mut self, name: &str) -> bool {
        let known = self.roles.remove(name).is_some();
        self.retain(|entry| entry.role != name);
        known
    }

    /// All entries.
    pub fn entries(&self) -> impl Iterator<Item = &AclEntry> {
        self.acl.values().flatten()
    }

    /// The roles of one id on a path: a deeper entry replaces those above it.
    fn roles_of(&self, who: &str, path: &str) -> BTreeMap<&str, bool> {
        let mut roles = BTreeMap::new();
        for prefix in prefixes(path) {
            let here = self
                .acl
                .get(prefix)
                .into_iter()
                .flatten()
                .filter(|entry| entry.who == who);
            let here: BTreeMap<&str, bool> = here
                .filter(|entry| entry.propagate || prefix == path)
                .map(|entry| (entry.role.as_str(), entry.propagate))
                .collect();
            if !here.is_empty() {
                roles = here;
            }
        }
        roles
    }

    fn privs_of(&self, who: &str, path: &str, pools: &Pools) -> Privs {
        let mut roles = self.roles_of(who, path);
        if roles.contains_key("NoAccess") {
            return Privs::new();
        }
        if let Some(pool) = pools.pool_of_path(path) {
            for (role, _) in self.roles_of(who, &format!("/pool/{pool}")) {
                roles.entry(role).or_insert(false);
            }
        }
        let mut privs = Privs::new();
        for (role, propagate) in roles {
            for privilege in self.roles.get(role).into_iter().flatten() {
                *privs.entry(privilege.clone()).or_default() |= propagate;
            }
        }
        privs
    }

    /// What a principal may do on a path.
    pub fn privileges(&self, who: &Principal, path: &str, pools: &Pools) -> Privs {
        let of_user = if who.user == "root@pam" {
            privileges::ALL
                .iter()
                .map(|privilege| ((*privilege).to_owned(), true))
                .collect()
        } else {
            self.privs_of(&who.user, path, pools)
        };
        if !self.separated(who) {
            return of_user;
        }
        let mut privs = self.privs_of(&who.full(), path, pools);
        privs.retain(|privilege, _| of_user.contains_key(privilege));
        privs
    }

    /// Whether a principal has one privilege on a path.
    pub fn allows(&self, who: &Principal, path: &str, privilege: &str, pools: &Pools) -> bool {
        let by_user = || who.user == "root@pam" || self.has(&who.user, path, privilege, pools);
        if !self.separated(who) {
            return by_user();
        }
        self.has(&who.full(), path, privilege, pools) && by_user()
    }

    /// Whether the roles of one id hold a privilege on a path.
    fn has(&self, who: &str, path: &str, privilege: &str, pools: &Pools) -> bool {
        let holds = |role: &&str| {
            self.roles
                .get(*role)
                .is_some_and(|privs| privs.contains(privilege))
        };
        let roles = self.roles_of(who, path);
        if roles.contains_key("NoAccess") {
            return false;
        }
        let by_pool = || {
            let pool = pools.pool_of_path(path)?;
            Some(self.roles_of(who, &format!("/pool/{pool}")).keys().any(holds))
        };
        roles.keys().any(holds) || by_pool().unwrap_or(false)
    }

    /// Whether a caller is a token with rights of its own only.
    fn separated(&self, who: &Principal) -> bool {
        let token = who
            .token
            .as_ref()
            .and_then(|token| self.users.get(&who.user)?.tokens.get(token));
        token.is_some_and(|token| token.privsep)
    }

    /// Every path on which a principal has something.
    pub fn overview(&self, who: &Principal, pools: &Pools) -> BTreeMap<String, Privs> {
        let standard = [
            "/",
            "/access",
            "/access/groups",
            "/nodes",
            "/pool",
            "/sdn",
            "/storage",
            "/vms",
        ];
        let mut paths: BTreeSet<String> = standard.map(str::to_owned).into();
        for path in self.acl.keys() {
            paths.extend(prefixes(path).map(str::to_owned));
        }
        paths.extend(pools.members().map(|vmid| format!("/vms/{vmid}")));
        let found = paths
            .into_iter()
            .map(|path| (self.privileges(who, &path, pools), path));
        found
            .filter(|(privs, _)| !privs.is_empty())
            .map(|(privs, path)| (path, privs))
            .collect()
    }
}

/// The path and all paths above it, from the top down.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let below = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
    let ends = below.chain((path.len() > 1).then_some(path.len()));
    std::iter::once("/").chain(ends.filter_map(move |end| path.get(..end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_go_from_the_top_down() {
        assert_eq!(
            prefixes("/sdn/zones/x").collect::<Vec<_>>(),
            ["/", "/sdn", "/sdn/zones", "/sdn/zones/x"]
        );
        assert_eq!(prefixes("/").collect::<Vec<_>>(), ["/"]);
    }
}
