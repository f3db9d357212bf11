//! What comes onto a storage and goes by itself: allocated volumes, uploaded files.

use crate::model::config::parse_size;
use crate::model::storage::{StoredFile, Volume, split_volid};
use crate::model::work::{self, FileJob, Job};

use super::call::Call;
use super::reply::{Answer, Fault, Reply, sync};

/// POST /nodes/{node}/storage/{storage}/content: an empty volume for a guest.
pub fn allocate(call: &mut Call<'_>) -> Reply {
    let (node, name, vmid) = (call.node(), call.segment("storage").to_owned(), call.vmid());
    call.world
        .storage(&name)
        .map_err(sync)?
        .check(&node)
        .map_err(sync)?;
    let file = call.params.text("filename").unwrap_or_default();
    if !file.starts_with(&format!("vm-{vmid}-")) {
        return Err(Fault::died(format!(
            "illegal name '{file}' - should be 'vm-{vmid}-*'"
        )));
    }
    let size = call.params.text("size").unwrap_or_default();
    let bytes = if size.ends_with(|c: char| c.is_ascii_digit()) {
        format!("{size}K")
    } else {
        size.to_owned()
    };
    let path = format!("{vmid}/{file}");
    let volid = format!("{name}:{path}");
    let volume = Volume {
        size: parse_size(&bytes).unwrap_or(0),
        vmid,
        created: call.world.now,
        base: None,
    };
    if let Some(storage) = call.world.storages.get_mut(&name) {
        if storage.volumes(&node).any(|(other, _)| other == path) {
            return Err(Fault::died(format!(
                "disk image '/var/lib/vz/images/{path}' already exists"
            )));
        }
        storage.add(&node, &path, volume);
    }
    Answer::of(volid)
}

/// DELETE /nodes/{node}/storage/{storage}/content/{volume}
pub fn remove(call: &mut Call<'_>) -> Reply {
    let (node, storage) = (call.node(), call.segment("storage").to_owned());
    call.need(&format!("/storage/{storage}"), &["Datastore.Allocate"])?;
    let volume = call.segment("volume").to_owned();
    let name = match split_volid(&volume) {
        Some((other, _)) if other != storage => {
            return Err(Fault::param("volume", "storage ID missmatch"));
        }
        Some((_, name)) => name.to_owned(),
        None => volume,
    };
    let job = Job::File(FileJob {
        storage: storage.clone(),
        name,
        file: None,
    });
    Answer::of(work::spawn(call.world, &node, ("imgdel", storage), call.who, job))
}

/// POST /nodes/{node}/storage/{storage}/upload; of the file only its size is kept, which the reception has noted at
/// the end of the temporary name.
pub fn upload(call: &mut Call<'_>) -> Reply {
    let (node, storage) = (call.node(), call.segment("storage").to_owned());
    call.world
        .storage(&storage)
        .map_err(sync)?
        .check(&node)
        .map_err(sync)?;
    let content = call.params.text("content").unwrap_or_default().to_owned();
    if !call
        .world
        .storage(&storage)
        .map_err(sync)?
        .content
        .contains(&content)
    {
        return Err(Fault::died(format!(
            "storage '{storage}' does not support '{content}' content"
        )));
    }
    let temporary = call.params.text("tmpfilename").unwrap_or_default();
    let size = temporary
        .rsplit('-')
        .next()
        .and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let file = StoredFile {
        content: content.clone(),
        size: size.unwrap_or(0),
        created: call.world.now,
    };
    let job = Job::File(FileJob {
        storage,
        name: format!("{content}/{}", call.params.text("filename").unwrap_or_default()),
        file: Some(file),
    });
    Answer::of(work::spawn(call.world, &node, ("imgcopy", ""), call.who, job))
}
