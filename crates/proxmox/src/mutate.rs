//! Calls that change guests. None of them is ever sent twice by this crate.
//!
//! Must not decide whether a change is right: proof of ownership is the caller's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::ids::{NodeName, StorageName, Vmid};
use domain::pve::Upid;
use proxmox_api::client::Client;
use proxmox_api::nodes::node::qemu::vmid::clone::{NewidInt, PostParams};
use proxmox_api::nodes::node::qemu::vmid::status::{shutdown, start, stop};
use proxmox_api::nodes::node::qemu::vmid::{DeleteParams, VmidClient};
use proxmox_api::types::VmId;
use serde::Serialize;

use crate::error::Error;
use crate::reads::Pve;
use crate::transport::{Failure, Transport};

/// What a clone shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneRequest {
    /// Its VMID.
    pub newid: Vmid,
    /// Its name.
    pub name: String,
    /// Its description, with the stamp.
    pub description: String,
    /// The pool that it joins at the end.
    pub pool: String,
    /// Copy all disks; otherwise link to the template's.
    pub full: bool,
    /// Where a full copy's disks go.
    pub storage: Option<StorageName>,
    /// The node that gets it; needs shared storage.
    pub target: Option<NodeName>,
}

/// A change of a configuration or of firewall options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Values to set.
    pub set: BTreeMap<String, String>,
    /// Keys to remove.
    pub delete: Vec<String>,
}

impl Change {
    /// Whether nothing changes. Proxmox refuses an empty change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.delete.is_empty()
    }

    pub(crate) fn body(&self, digest: Option<&str>) -> BTreeMap<&str, String> {
        let mut body: BTreeMap<&str, String> =
            self.set.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
        if !self.delete.is_empty() {
            body.insert("delete", self.delete.join(","));
        }
        if let Some(digest) = digest {
            body.insert("digest", digest.to_owned());
        }
        body
    }
}

/// SSH keys as the value of `sshkeys`: one a line, percent-encoded once.
#[must_use]
pub fn sshkeys_value(keys: &[&str]) -> String {
    let mut text = String::new();
    for byte in keys.iter().flat_map(|key| key.trim().bytes().chain([b'\n'])) {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(byte.into());
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Both types have the same bounds, so this does not happen; but it is not ours to assume.
fn outside(vmid: Vmid, act: &str) -> Error {
    Error::Path {
        act: act.to_owned(),
        path: vmid.to_string(),
    }
}

/// The task of an answer.
fn task(answer: Result<String, Failure>, act: &str) -> Result<Upid, Error> {
    let text = answer.map_err(|failure| Error::during(failure, act.to_owned()))?;
    text.parse().map_err(|_| Error::NoTask { act: act.to_owned() })
}

impl Pve {
    fn vm(&self, node: &NodeName, vmid: Vmid, act: &str) -> Result<VmidClient<&Transport>, Error> {
        let vmid = VmId::try_from(i128::from(vmid.get())).map_err(|_| outside(vmid, act))?;
        Ok(self.nodes().node(node.as_str()).qemu().vmid(vmid))
    }

    pub(crate) async fn put<B: Serialize>(
        &self,
        path: &str,
        body: &B,
        act: String,
    ) -> Result<Option<String>, Error> {
        self.transport
            .put(path, body)
            .await
            .map_err(|failure| Error::during(failure, act))
    }

    pub(crate) async fn post<B: Serialize>(
        &self,
        path: &str,
        body: &B,
        act: String,
    ) -> Result<Option<String>, Error> {
        self.transport
            .post(path, body)
            .await
            .map_err(|failure| Error::during(failure, act))
    }

    pub(crate) async fn delete<Q: Serialize>(
        &self,
        path: &str,
        query: &Q,
        act: String,
    ) -> Result<Option<String>, Error> {
        self.transport
            .delete(path, query)
            .await
            .map_err(|failure| Error::during(failure, act))
    }

    /// Clones a template.
    ///
    /// # Errors
    /// If Proxmox refuses at once or there is no usable answer; the task may fail for the same reasons later.
    pub async fn clone_vm(
        &self,
        node: &NodeName,
        template: Vmid,
        want: &CloneRequest,
    ) -> Result<Upid, Error> {
        let CloneRequest {
            newid,
            name,
            description,
            pool,
            full,
            storage,
            target,
        } = want;
        let act = format!("clone VM {template} on {node} to VM {newid}");
        let newid = NewidInt::try_from(i128::from(newid.get())).map_err(|_| outside(*newid, &act))?;
        let params = PostParams {
            name: Some(name.clone()),
            description: Some(description.clone()),
            pool: Some(pool.clone()),
            full: Some(*full),
            storage: storage.as_ref().map(ToString::to_string),
            target: target.as_ref().map(ToString::to_string),
            ..PostParams::new(newid)
        };
        task(self.vm(node, template, &act)?.clone().post(params).await, &act)
    }

    /// Changes a configuration, if its digest is still this one.
    ///
    /// # Errors
    /// [`domain::pve::Class::Conflict`] if it is not; otherwise if Proxmox refuses or there is no usable answer.
    pub async fn put_config(
        &self,
        node: &NodeName,
        vmid: Vmid,
        change: &Change,
        digest: Option<&str>,
    ) -> Result<(), Error> {
        let act = format!("configure VM {vmid} on {node}");
        self.put(
            &format!("/nodes/{node}/qemu/{vmid}/config"),
            &change.body(digest),
            act,
        )
        .await
        .map(drop)
    }

    /// Grows a disk to a size in bytes; older versions do it at once and name no task.
    ///
    /// # Errors
    /// If Proxmox refuses or there is no usable answer. Shrinking, and another digest, fail in the task.
    pub async fn resize(
        &self,
        node: &NodeName,
        vmid: Vmid,
        (disk, bytes): (&str, u64),
        digest: Option<&str>,
    ) -> Result<Option<Upid>, Error> {
        let act = format!("grow disk {disk} of VM {vmid} on {node}");
        let mut body = BTreeMap::from([("disk", disk.to_owned()), ("size", bytes.to_string())]);
        body.extend(digest.map(|digest| ("digest", digest.to_owned())));
        let path = format!("/nodes/{node}/qemu/{vmid}/resize");
        let answer = self.put(&path, &body, act.clone()).await?;
        answer
            .map(|text| text.parse().map_err(|_| Error::NoTask { act }))
            .transpose()
    }

    /// Starts a guest.
    ///
    /// # Errors
    /// If Proxmox refuses at once or there is no usable answer.
    pub async fn start(&self, node: &NodeName, vmid: Vmid) -> Result<Upid, Error> {
        let act = format!("start VM {vmid} on {node}");
        task(
            self.vm(node, vmid, &act)?
                .status()
                .start()
                .post(start::PostParams::default())
                .await,
            &act,
        )
    }

    /// Stops a guest at once.
    ///
    /// # Errors
    /// If Proxmox refuses at once or there is no usable answer.
    pub async fn stop(&self, node: &NodeName, vmid: Vmid) -> Result<Upid, Error> {
        let act = format!("stop VM {vmid} on {node}");
        task(
            self.vm(node, vmid, &act)?
                .status()
                .stop()
                .post(stop::PostParams::default())
                .await,
            &act,
        )
    }

    /// Asks a guest to shut down; the task fails if it has not within so many seconds.
    ///
    /// # Errors
    /// If Proxmox refuses at once or there is no usable answer.
    pub async fn shutdown(&self, node: &NodeName, vmid: Vmid, timeout: u32) -> Result<Upid, Error> {
        let params = shutdown::PostParams {
            timeout: Some(timeout.into()),
            ..shutdown::PostParams::default()
        };
        let act = format!("shut down VM {vmid} on {node}");
        task(
            self.vm(node, vmid, &act)?.status().shutdown().post(params).await,
            &act,
        )
    }

    /// Deletes a guest with its disks, and its mention in backups and replication.
    ///
    /// # Errors
    /// If Proxmox refuses at once or there is no usable answer.
    pub async fn delete_vm(&self, node: &NodeName, vmid: Vmid) -> Result<Upid, Error> {
        let params = DeleteParams {
            purge: Some(true),
            ..DeleteParams::default()
        };
        let act = format!("delete VM {vmid} on {node}");
        task(self.vm(node, vmid, &act)?.delete(params).await, &act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_keys_are_encoded_once() {
        let value = sshkeys_value(&["ssh-ed25519 AAAA+/= test@example", "ssh-rsa B\n"]);
        assert_eq!(
            value,
            "ssh-ed25519%20AAAA%2B%2F%3D%20test%40example%0Assh-rsa%20B%0A"
        );
        assert_eq!(sshkeys_value(&[]), "");
    }

    #[test]
    fn changes_carry_their_digest() {
        let change = Change {
            set: BTreeMap::from([("cores".into(), "2".into())]),
            delete: vec!["tags".into(), "tablet".into()],
        };
        let want =
            [("cores", "2"), ("delete", "tags,tablet"), ("digest", "d1")].map(|(k, v)| (k, v.to_owned()));
        assert_eq!(change.body(Some("d1")), BTreeMap::from(want));
        assert!(Change::default().is_empty() && Change::default().body(None).is_empty());
    }
}
