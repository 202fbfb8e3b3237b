//! Files for values that had to leave memory.
//!
//! Every store has a directory of its own, made when the first value leaves and removed with the
//! store. A process that is killed cannot remove its directory; the next one that spills to
//! the same place does. To tell the dead from the living without process numbers (which are
//! reused, and differ between containers), the owner holds a file lock in its directory as long as
//! it lives: a directory whose lock can be had belongs to nobody.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{CodecError, Decode, NdArray, NdType, Shape, Value, ipc};

const PREFIX: &str = "weft-spill-";
/// A directory that is being set up; it gets its final name once its lock is held.
const NEW_PREFIX: &str = ".weft-spill-new-";
const LOCK: &str = "lock";
const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct SpillDirectory {
    path: PathBuf,
    next: AtomicU64,
    /// Held, never read: see the module's head.
    _lock: File,
    /// Files outlive neither the directory nor the process that made it; a forked child must
    /// remove neither.
    owner: u32,
}

impl SpillDirectory {
    /// Makes a directory below `base` and removes those that dead processes left there.
    pub(crate) fn create(base: &Path) -> io::Result<SpillDirectory> {
        fs::create_dir_all(base)?;
        sweep(base);
        let new = tempfile::Builder::new().prefix(NEW_PREFIX).tempdir_in(base)?;
        let lock = File::create(new.path().join(LOCK))?;
        lock.lock()?;
        let name =
            new.path().file_name().unwrap_or_default().to_string_lossy().replacen(NEW_PREFIX, PREFIX, 1);
        let path = base.join(name);
        fs::rename(new.path(), &path)?;
        // It has moved: nothing is left for the guard to remove.
        let _ = new.keep();
        Ok(SpillDirectory { path, next: AtomicU64::new(0), _lock: lock, owner: std::process::id() })
    }

    /// Removes what is there now, at the end of the process.
    pub(crate) fn remove(&self) {
        if self.owner == std::process::id() {
            // What cannot be removed now is swept by the next process that spills here.
            let _ = fs::remove_dir_all(&self.path);
        }
    }

    /// Where the next value goes.
    fn next_path(&self) -> PathBuf {
        self.path.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for SpillDirectory {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes the directories below `base` whose owners are gone.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A value on disk. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct SpillFile {
    path: PathBuf,
    form: Form,
    directory: Arc<SpillDirectory>,
}

/// What the bytes of the file are.
#[derive(Debug)]
enum Form {
    Frame(Box<ipc::Shell>),
    Array(Box<(NdType, Shape)>),
    Bytes,
    Object(Decode),
}

impl SpillFile {
    pub(crate) fn write(directory: &Arc<SpillDirectory>, value: &Value) -> Result<SpillFile, CodecError> {
        let path = directory.next_path();
        // Made first, so that the file goes if writing fails.
        let mut spilled = SpillFile { path, form: Form::Bytes, directory: directory.clone() };
        let mut sink = BufWriter::with_capacity(BUFFER_BYTES, File::create(&spilled.path)?);
        match value {
            Value::Frame(frame) => spilled.form = Form::Frame(Box::new(ipc::write(frame, &mut sink)?)),
            Value::Array(array) => {
                array.encode(&mut sink)?;
                spilled.form = Form::Array(Box::new((array.dtype().clone(), array.shape().into())));
            }
            Value::Bytes(bytes) => sink.write_all(bytes)?,
            Value::Object(object) => {
                object.encode(&mut sink)?;
                spilled.form = Form::Object(object.decoder());
            }
        }
        sink.flush()?;
        Ok(spilled)
    }

    pub(crate) fn read(&self) -> Result<Value, CodecError> {
        let file = File::open(&self.path)?;
        match &self.form {
            Form::Frame(shell) => {
                let mut source = BufReader::with_capacity(BUFFER_BYTES, file);
                Ok(Value::Frame(Arc::new(ipc::read(shell, &mut source)?)))
            }
            Form::Array(shell) => {
                let mut source = BufReader::with_capacity(BUFFER_BYTES, file);
                let (dtype, shape) = &**shell;
                Ok(Value::Array(Arc::new(NdArray::decode(dtype.clone(), shape, &mut source)?)))
            }
            Form::Bytes => Ok(Value::Bytes(fs::read(&self.path)?.into())),
            Form::Object(decode) => {
                let mut source = BufReader::with_capacity(BUFFER_BYTES, file);
                Ok(Value::Object(decode(&mut source)?))
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        if self.directory.owner == std::process::id() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_goes_with_its_owner() {
        let base = tempfile::tempdir().unwrap();
        let directory = Arc::new(SpillDirectory::create(base.path()).unwrap());
        let file = SpillFile::write(&directory, &Value::Bytes(b"abc".to_vec().into())).unwrap();
        assert!(matches!(file.read().unwrap(), Value::Bytes(b) if &*b == b"abc"));
        let path = file.path().to_owned();
        drop(file);
        assert!(!path.exists());
        drop(directory);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_the_dead_left_is_swept_and_the_living_are_not() {
        let base = tempfile::tempdir().unwrap();
        let dead = base.path().join("weft-spill-dead");
        fs::create_dir(&dead).unwrap();
        File::create(dead.join(LOCK)).unwrap();
        File::create(dead.join("0")).unwrap();
        let unrelated = base.path().join("mine");
        fs::create_dir(&unrelated).unwrap();

        let first = SpillDirectory::create(base.path()).unwrap();
        assert!(!dead.exists());
        assert!(unrelated.exists());
        let second = SpillDirectory::create(base.path()).unwrap();
        assert!(first.path.exists());
        drop(second);
        assert!(first.path.exists());
    }
}
