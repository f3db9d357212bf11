//! Files that are whole or not there: written beside, flushed, renamed. Must not know what is in them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::Path;

/// Who may read a file, and whose it is.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// Its mode.
    pub mode: u32,
    /// Its owner; without one, whoever we run as.
    pub owner: Option<u32>,
}

/// Only us.
pub const PRIVATE: Access = Access {
    mode: 0o600,
    owner: None,
};

/// Puts a file in place of whatever is there, once it is on disk. Blocks.
///
/// # Errors
/// When it cannot be written; then what was there stays.
pub fn replace(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    // One that a crash left may have another mode.
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(access.mode)
        .open(beside)?;
    file.write_all(bytes)?;
    if access.owner.is_some() {
        chown(beside, access.owner, None)?;
    }
    file.sync_all()?;
    fs::rename(beside, path)?;
    File::open(folder)?.sync_all()
}

/// A file's content; none if there is no such file. Blocks.
///
/// # Errors
/// When it is there and cannot be read, or is larger than `max`.
pub fn read(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let length = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {max} bytes"),
        ));
    }
    fs::read(path).map(Some)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b.new"), "left by a crash").unwrap();
        replace(&path, b"one", PRIVATE).unwrap();
        replace(&path, b"two", PRIVATE).unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn absence_is_no_error_and_size_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&folder.path().join("none"), 10).unwrap().is_none());
        fs::write(folder.path().join("big"), "x".repeat(11)).unwrap();
        assert!(read(&folder.path().join("big"), 10).is_err());
    }
}
