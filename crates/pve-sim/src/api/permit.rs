//! Whether a caller may: the expressions of the table, with the daemon's texts. Reads access, changes nothing.

use crate::model::values::is_user_id;

use super::call::Call;
use super::reply::Fault;
use super::schema::{Access, Check};

/// Refuses a caller who may not.
pub fn permit(call: &Call<'_>, access: &Access) -> Result<(), Fault> {
    if call.is_root() {
        return Ok(());
    }
    match access {
        Access::World | Access::All => Ok(()),
        Access::Root => Err(refused("user != root@pam")),
        Access::Check(check) => test(call, check),
    }
}

fn refused(why: &str) -> Fault {
    Fault::new(403, format!("Permission check failed ({why})"))
}

fn bare() -> Fault {
    Fault::new(403, "Permission check failed")
}

fn test(call: &Call<'_>, check: &Check) -> Result<(), Fault> {
    match check {
        Check::And(all) => all.iter().try_for_each(|check| test(call, check)),
        Check::Or(all) => any(call, all),
        Check::Privileges {
            path,
            privileges,
            any,
            require,
        } => {
            if require
                .as_ref()
                .is_some_and(|name| call.params.text(name).is_none())
            {
                return Err(bare());
            }
            let path = call.fill(path);
            let names: Vec<&str> = privileges.iter().map(String::as_str).collect();
            let need = |names: &[&str]| {
                if *any {
                    return call.need(&path, names);
                }
                names.iter().try_for_each(|name| call.need(&path, &[name]))
            };
            let version = call.world.version;
            let mut older: Vec<&str> = names.iter().map(|name| version.privilege(name)).collect();
            older.dedup();
            // Roles hold the privileges of 9.2 whatever the release; what is lacking is told by the release's own name.
            need(&names).or_else(|_| need(&older))
        }
        Check::SelfUser => {
            let user = user(call)?;
            check_exists(call, &user)?;
            if call.who.full() == user {
                Ok(())
            } else {
                Err(bare())
            }
        }
        Check::Realm => {
            let user = user(call)?;
            let realm = user.rsplit_once('@').map_or("", |(_, realm)| realm);
            call.need(&format!("/access/realm/{realm}"), &["Realm.AllocateUser"])
        }
        Check::UserGroup { privileges, creates } => {
            let user = user(call)?;
            if !creates {
                check_exists(call, &user)?;
            }
            let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
            call.need("/access/groups", &privileges)
                .map_err(|_| refused(&user))
        }
        Check::Modify(path) => may_modify(call, &call.fill(path)),
    }
}

/// Whoever may allocate what a path is about may also change permissions there.
fn may_modify(call: &Call<'_>, path: &str) -> Result<(), Fault> {
    let own = match path.split('/').nth(1) {
        Some("storage") => "Datastore.Allocate",
        Some("vms") => "VM.Allocate",
        Some("pool") => "Pool.Allocate",
        _ => "Permissions.Modify",
    };
    if call.allows(path, own) {
        return Ok(());
    }
    call.need(path, &["Permissions.Modify"])
}

/// One of them; a user that is not there is only said if no other alternative is left.
fn any(call: &Call<'_>, all: &[Check]) -> Result<(), Fault> {
    if all.iter().any(|check| test(call, check).is_ok()) {
        return Ok(());
    }
    Err(bare())
}

/// The user that the call is about.
fn user(call: &Call<'_>) -> Result<String, Fault> {
    let user = call.fill("{userid}");
    if is_user_id(&user) {
        return Ok(user);
    }
    Err(Fault::died(format!(
        "value '{user}' does not look like a valid user name"
    )))
}

fn check_exists(call: &Call<'_>, user: &str) -> Result<(), Fault> {
    if call.world.access.users.contains_key(user) {
        return Ok(());
    }
    Err(Fault::died(format!("no such user ('{user}')")))
}
