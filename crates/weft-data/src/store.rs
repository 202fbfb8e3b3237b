//! Where results wait for their readers: in memory within a budget, else on disk.
//!
//! [`Store::put`] takes a value and returns a [`Ticket`]; the ticket gets it back, and dropping the
//! ticket ends it, wherever it is. `put` only keeps account. When [`Store::is_full`], somebody calls
//! [`Store::make_room`], which writes values to disk until the rest fits: engines choose a
//! moment at which waiting for a disk hurts nobody.
//!
//! **Which value leaves.** The one whose next reader runs last; of those without a reader in sight,
//! the oldest. A value that somebody else holds too (a task that reads it right now) stays: writing it
//! would free nothing.
//!
//! **Locks.** One lock guards the accounts. Values are never encoded, decoded, sized or dropped
//! while it is held: all of that may run the host's code, and the host may come back here. Nobody
//! ever waits for another thread's disk: a value that is being written can still be read from
//! memory, and two threads that want the same value from disk both read it.
//!
//! **What is not written.** A value that can be made again for less than a disk costs is let go instead.
//!
//! **Overhead.** Tasks at work, libraries and freed memory that the allocator keeps take memory that no value
//! accounts for. [`Store::measure`] compares what the process holds with what the values cost; the
//! difference is taken off the limit, so that the process as a whole stays inside. What a running task will make shows
//! only when it is made: whoever runs it reserves as much beforehand, see [`Store::reserve`].
//!
//! **Accounts.** `used` is what the values in memory cost. Buffers that frames share count once, by
//! address. A value taken out by its last reader stays on the books until its ticket goes, because
//! the reader holds it in memory for that long.

use std::collections::BTreeSet;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ahash::AHashMap;
use parking_lot::Mutex;

use crate::allocator::{keep_blocks_apart, resident, return_free_memory};
use crate::sizes::{Allocation, allocations, array_allocation};
use crate::spill::{SpillDirectory, SpillFile};
use crate::{CodecError, DataError, TaskError, Value};

/// [`Store::put`]'s `need` of a value that no task will read.
pub const NEVER: u64 = u64::MAX;

/// Free memory goes back to the system after each sixteenth of the limit that was spilled.
const RETURN_PER_LIMIT: usize = 16;

/// How often the overhead is measured, and how often, at most and at least, free memory is given back for its sake.
const EVERY: Duration = Duration::from_millis(2);
const RETURN_EVERY: Duration = Duration::from_millis(50);
const RETURN_SELDOM: Duration = Duration::from_secs(5);
/// Overhead that is nobody's business: threads, modules, small things.
const TOLERATED: usize = 32 << 20;

const READ_REMEDY: &str = "Something outside removed or damaged the file; point temporary-directory at a place that \
                           is left alone, and compute again";
const FULL_REMEDY: &str = "Free space there, set temporary-directory to a larger disk, or raise memory.limit";

/// Counters of a store, for tests and for people who ask where their memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    pub limit: usize,
    /// Bytes in memory now.
    pub used: usize,
    /// Values on disk now, and what they took in memory.
    pub on_disk: usize,
    pub on_disk_bytes: usize,
    /// Values and bytes written to disk, and values read back, since the store was made.
    pub spilled: usize,
    pub spilled_bytes: usize,
    pub read_back: usize,
}

/// Keeps values within a memory budget. Cloning shares.
#[derive(Clone, Debug)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: AtomicUsize,
    /// `used` of the accounts, for a look without the lock.
    used: AtomicUsize,
    /// Bytes spilled since free memory was last given back to the system.
    unreturned: AtomicUsize,
    /// What the process holds beside values: when nothing ran, and since then in addition.
    baseline: AtomicUsize,
    overhead: AtomicUsize,
    /// Bytes that running tasks are expected to take.
    reserved: AtomicUsize,
    /// Whether anything was ever spilled.
    pressed: AtomicBool,
    /// When that was measured last, and when free memory was given back, in microseconds since `made`.
    measured: AtomicU64,
    returned: AtomicU64,
    /// The time from one to the next, in microseconds.
    pause: AtomicU64,
    made: Instant,
    accounts: Mutex<Accounts>,
    /// Where spill directories are made, and ours once there is one.
    directory: Mutex<(PathBuf, Option<Arc<SpillDirectory>>)>,
    notices: Mutex<Vec<String>>,
    told: AtomicBool,
    /// A fork copies locks in whatever state they are: the child leaves the parent's store alone.
    owner: u32,
}

#[derive(Debug, Default)]
struct Accounts {
    entries: AHashMap<u64, Entry>,
    next: u64,
    /// Values in memory that may leave, in the order in which they stay: the last leaves first.
    leavers: BTreeSet<Rank>,
    /// How many entries use each allocation that frames hold, and what it was charged. (A last reader
    /// may free its value before its ticket goes, and the address be used again: so what is
    /// taken off the books is what was put on them.)
    allocations: AHashMap<usize, (u32, usize)>,
    used: usize,
    /// Part of `used` that other threads are writing to disk just now.
    leaving: usize,
    stats: StoreStats,
}

/// Makes a value again.
pub type Again = Arc<dyn Fn() -> Result<Value, TaskError> + Send + Sync>;

/// (when it is needed, age from the oldest, entry): the greatest leaves first.
type Rank = (u64, u64, u64);

struct Entry {
    place: Place,
    need: u64,
    cost: Cost,
    what: Arc<str>,
    /// False once encoding has failed: it is not tried again.
    can_leave: bool,
    again: Option<Again>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({}, {:?}, needed at {})", self.what, self.place, self.need)
    }
}

/// What an entry has on the books while it is in memory.
#[derive(Debug, Clone)]
enum Cost {
    Bytes(usize),
    Allocations(Arc<[Allocation]>),
}

#[derive(Debug)]
enum Place {
    Memory(Value),
    /// In memory, while a thread writes it to disk.
    Leaving(Value),
    Disk(Arc<SpillFile>),
    /// Made again when somebody asks for it.
    Forgotten,
    /// Taken out by its last reader.
    Lent,
}

/// Room for what a task will make, until it is dropped.
#[derive(Debug)]
pub struct Reservation {
    store: Arc<Shared>,
    nbytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.store.reserved.fetch_sub(self.nbytes, Ordering::Relaxed);
    }
}

/// A value in a store. Dropping the ticket drops the value, in memory or on disk.
#[derive(Debug)]
pub struct Ticket {
    store: Arc<Shared>,
    id: u64,
}

impl Store {
    /// A store that holds `limit` bytes in memory and spills to a directory of its own below `base`.
    pub fn new(limit: usize, base: impl Into<PathBuf>) -> Store {
        Store(Arc::new(Shared {
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
            unreturned: AtomicUsize::new(0),
            baseline: AtomicUsize::new(usize::MAX),
            overhead: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            pressed: AtomicBool::new(false),
            measured: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            pause: AtomicU64::new(0),
            made: Instant::now(),
            accounts: Mutex::default(),
            directory: Mutex::new((base.into(), None)),
            notices: Mutex::default(),
            told: AtomicBool::new(false),
            owner: std::process::id(),
        }))
    }

    /// A store that never spills.
    pub fn unlimited() -> Store {
        Store::new(usize::MAX, PathBuf::new())
    }

    pub fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Relaxed)
    }

    pub fn set_limit(&self, limit: usize) {
        if self.0.limit.swap(limit, Ordering::Relaxed) != limit {
            crate::memory::keep_within(limit);
        }
    }

    /// What values may take now: the limit without the overhead.
    fn room(&self) -> usize {
        self.0.room()
    }

    /// A computation begins: what the process holds now, beside values, is not its affair.
    pub fn begin(&self) {
        if self.limit() == usize::MAX || self.0.used.load(Ordering::Relaxed) > 0 {
            return;
        }
        let Some(mut held) = resident() else { return };
        let before = self.0.baseline.load(Ordering::Relaxed);
        // What earlier computations left behind in the allocator is.
        if held.saturating_sub(before) > (self.limit() / 16).max(TOLERATED) {
            return_free_memory();
            held = resident().unwrap_or(held);
        }
        self.0.baseline.store(held, Ordering::Relaxed);
        self.0.overhead.store(0, Ordering::Relaxed);
    }

    /// Looks, now and then, at how much the process holds beside values.
    pub fn measure(&self) {
        let shared = &*self.0;
        let (limit, baseline) = (self.limit(), shared.baseline.load(Ordering::Relaxed));
        if limit == usize::MAX || baseline == usize::MAX || !shared.is_due(&shared.measured, EVERY) {
            return;
        }
        let beside = || {
            let held = resident()?.saturating_sub(baseline);
            Some((held, held.saturating_sub(shared.used.load(Ordering::Relaxed))))
        };
        let Some((held, mut overhead)) = beside() else { return };
        if held > limit - limit / 8
            && overhead > (limit / 16).max(TOLERATED)
            && shared.is_due(&shared.returned, Duration::from_micros(shared.pause.load(Ordering::Relaxed)))
        {
            let (start, before) = (Instant::now(), overhead);
            return_free_memory();
            overhead = beside().map_or(overhead, |(_, overhead)| overhead);
            // It holds up whoever allocates: a small part of the time, and ever less where it is of no use.
            let mut pause = (start.elapsed() * 50).max(RETURN_EVERY);
            if before.saturating_sub(overhead) < limit / 32 {
                pause = pause.max(Duration::from_micros(shared.pause.load(Ordering::Relaxed)) * 2);
            }
            let pause = pause.min(RETURN_SELDOM).as_micros() as u64;
            shared.pause.store(pause, Ordering::Relaxed);
        }
        // Tasks come and go: what some took will be taken by others.
        let before = shared.overhead.load(Ordering::Relaxed);
        let overhead = if overhead > TOLERATED { overhead + limit / 32 } else { 0 };
        let overhead = overhead.max(before - before / 16);
        shared.overhead.store(overhead, Ordering::Relaxed);
    }

    /// Where the spill directory is made. Values already on disk stay where they are.
    pub fn set_base(&self, base: impl Into<PathBuf>) {
        let base = base.into();
        let mut directory = self.0.directory.lock();
        if directory.0 != base {
            *directory = (base, None);
        }
    }

    /// Keeps `value`. `need` is the place in the order of the task that reads it next, or [`NEVER`];
    /// `what` names it in errors.
    pub fn put(&self, value: Value, need: u64, what: Arc<str>) -> Ticket {
        self.put_cheap(value, need, what, None)
    }

    /// The same of a value that can be made again.
    pub fn put_cheap(&self, value: Value, need: u64, what: Arc<str>, again: Option<Again>) -> Ticket {
        let cost = Cost::of(&value);
        let mut accounts = self.0.accounts.lock();
        let id = accounts.next;
        accounts.next += 1;
        accounts.charge(&cost);
        let entry = Entry { place: Place::Memory(value), need, cost, what, can_leave: true, again };
        accounts.leavers.insert(entry.rank(id));
        accounts.entries.insert(id, entry);
        self.0.publish(&accounts);
        drop(accounts);
        Ticket { store: self.0.clone(), id }
    }

    /// Whether more is in memory than the limit allows. Costs nothing.
    pub fn is_full(&self) -> bool {
        self.0.used.load(Ordering::Relaxed) > self.room()
    }

    /// Whether running tasks take so much that the process holds more than the limit allows: time to let tasks that run come to their end before others
    /// start.
    pub fn is_strained(&self) -> bool {
        self.0.is_over() && {
            self.measure();
            self.0.is_over()
        }
    }

    /// Keeps room for `nbytes` that a task about to run is expected to take.
    pub fn reserve(&self, nbytes: usize) -> Reservation {
        self.0.reserved.fetch_add(nbytes, Ordering::Relaxed);
        self.measure();
        Reservation { store: self.0.clone(), nbytes }
    }

    /// Whether memory is nearly used up: time to start what frees memory and not what takes it.
    pub fn is_tight(&self) -> bool {
        let room = self.room();
        self.0.used.load(Ordering::Relaxed) > room - room / 8
    }

    /// Writes values to disk until the rest fits, or until nothing is left that can leave; what that
    /// frees goes back to the operating system.
    pub fn make_room(&self) -> Result<(), DataError> {
        let result = self.spill();
        // Now and then is enough, and cheap beside writing as many bytes to a disk.
        if self.0.unreturned.load(Ordering::Relaxed) > self.limit() / RETURN_PER_LIMIT {
            self.0.unreturned.store(0, Ordering::Relaxed);
            return_free_memory();
        }
        result
    }

    fn spill(&self) -> Result<(), DataError> {
        while let Some((id, value, what)) = self.0.choose() {
            if self.0.forget(id) {
                drop(value);
                continue;
            }
            let written =
                self.0.directory().map_err(CodecError::from).and_then(|d| SpillFile::write(&d, &value));
            // What is dropped here is dropped after the lock is released.
            let _garbage = match written {
                Ok(file) => self.0.settle(id, value, Some(file), true),
                Err(CodecError::Codec(reason)) => {
                    self.0.tell(&what, &reason);
                    self.0.settle(id, value, None, false)
                }
                Err(CodecError::Io(error)) => {
                    drop(self.0.settle(id, value, None, true));
                    return Err(DataError::Full {
                        what: what.to_string(),
                        path: self.0.place(),
                        used: self.0.used.load(Ordering::Relaxed),
                        limit: self.limit(),
                        reason: error.to_string(),
                        remedy: FULL_REMEDY,
                    });
                }
            };
        }
        Ok(())
    }

    pub fn stats(&self) -> StoreStats {
        let accounts = self.0.accounts.lock();
        let (mut on_disk, mut on_disk_bytes) = (0, 0);
        for entry in accounts.entries.values().filter(|e| matches!(e.place, Place::Disk(_))) {
            on_disk += 1;
            on_disk_bytes += entry.cost.nbytes();
        }
        StoreStats { limit: self.limit(), used: accounts.used, on_disk, on_disk_bytes, ..accounts.stats }
    }

    /// What users should hear once, such as values that cannot leave memory.
    pub fn take_notices(&self) -> Vec<String> {
        mem::take(&mut self.0.notices.lock())
    }

    /// Removes the spill directory at the end of the process; values on disk are lost.
    pub fn close(&self) {
        let directory = self.0.directory.lock().1.take();
        if let Some(directory) = directory {
            directory.remove();
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        let (used, overhead) = (self.used.load(Ordering::Relaxed), self.overhead.load(Ordering::Relaxed));
        let limit = self.limit.load(Ordering::Relaxed);
        // As long as values take the larger part, spilling helps.
        overhead > limit / 2 && used.saturating_add(overhead) > limit
    }

    fn room(&self) -> usize {
        let limit = self.limit.load(Ordering::Relaxed);
        // A part is always left: what is not ours may be there to stay.
        let aside = self.overhead.load(Ordering::Relaxed).max(self.reserved.load(Ordering::Relaxed));
        limit.saturating_sub(aside).max(limit / 4)
    }

    /// Whether `what` was longer ago than `every`; if so it counts as done now.
    fn is_due(&self, what: &AtomicU64, every: Duration) -> bool {
        let now = u64::try_from(self.made.elapsed().as_micros()).unwrap_or(u64::MAX);
        let last = what.load(Ordering::Relaxed);
        now.saturating_sub(last) >= every.as_micros() as u64
            && what.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn publish(&self, accounts: &Accounts) {
        self.used.store(accounts.used, Ordering::Relaxed);
    }

    fn place(&self) -> String {
        self.directory.lock().0.display().to_string()
    }

    fn directory(&self) -> std::io::Result<Arc<SpillDirectory>> {
        let mut directory = self.directory.lock();
        if let Some(made) = &directory.1 {
            return Ok(made.clone());
        }
        let made = Arc::new(SpillDirectory::create(&directory.0)?);
        directory.1 = Some(made.clone());
        Ok(made)
    }

    /// The next value to leave, if too much is in memory; marked as leaving.
    fn choose(&self) -> Option<(u64, Value, Arc<str>)> {
        let limit = self.room();
        let mut accounts = self.accounts.lock();
        let accounts = &mut *accounts;
        if accounts.used.saturating_sub(accounts.leaving) <= limit {
            return None;
        }
        if !self.pressed.swap(true, Ordering::Relaxed) {
            keep_blocks_apart(self.limit.load(Ordering::Relaxed));
        }
        let entries = &accounts.entries;
        let rank = accounts.leavers.iter().rev().copied().find(|(_, _, id)| {
            entries.get(id).is_some_and(|e| matches!(&e.place, Place::Memory(value) if !value.is_shared()))
        })?;
        accounts.leavers.remove(&rank);
        let id = rank.2;
        let entry = accounts.entries.get_mut(&id)?;
        let Place::Memory(value) = mem::replace(&mut entry.place, Place::Lent) else { return None };
        entry.place = Place::Leaving(value.clone());
        accounts.leaving += entry.cost.nbytes();
        Some((id, value, entry.what.clone()))
    }

    /// Ends what `choose` began without a disk, if the value can be made again.
    fn forget(&self, id: u64) -> bool {
        let mut accounts = self.accounts.lock();
        let accounts = &mut *accounts;
        let Some(entry) = accounts.entries.get_mut(&id) else { return false };
        if entry.again.is_none() || !matches!(entry.place, Place::Leaving(_)) {
            return false;
        }
        let old = mem::replace(&mut entry.place, Place::Forgotten);
        let cost = entry.cost.clone();
        accounts.leaving -= cost.nbytes();
        accounts.discharge(&cost);
        self.unreturned.fetch_add(cost.nbytes(), Ordering::Relaxed);
        self.publish(accounts);
        // Not the last: whoever chose it holds it too.
        drop(old);
        true
    }

    /// Ends what `choose` began: the value is in `file`, or stays in memory without one. Returns what
    /// the caller has to drop.
    fn settle(&self, id: u64, value: Value, file: Option<SpillFile>, can_leave: bool) -> Garbage {
        let mut garbage = Garbage { _values: vec![value], _files: Vec::new() };
        let mut accounts = self.accounts.lock();
        let accounts = &mut *accounts;
        let Some(entry) = accounts.entries.get_mut(&id) else {
            // Its ticket went meanwhile, and took the books with it.
            garbage._files.extend(file.map(Arc::new));
            return garbage;
        };
        let rank = entry.rank(id);
        let cost = entry.cost.clone();
        entry.can_leave &= can_leave;
        let can_leave = entry.can_leave;
        // Lent: its last reader took it while it was written. It stays on the books.
        if let Place::Leaving(_) = entry.place {
            match file {
                Some(file) => {
                    let old = mem::replace(&mut entry.place, Place::Disk(Arc::new(file)));
                    if let Place::Leaving(value) = old {
                        garbage._values.push(value);
                    }
                    accounts.discharge(&cost);
                    accounts.stats.spilled += 1;
                    accounts.stats.spilled_bytes += cost.nbytes();
                    self.unreturned.fetch_add(cost.nbytes(), Ordering::Relaxed);
                }
                None => {
                    let Place::Leaving(value) = mem::replace(&mut entry.place, Place::Lent) else {
                        return garbage;
                    };
                    entry.place = Place::Memory(value);
                    if can_leave {
                        accounts.leavers.insert(rank);
                    }
                }
            }
            accounts.leaving -= cost.nbytes();
        } else {
            garbage._files.extend(file.map(Arc::new));
        }
        self.publish(accounts);
        garbage
    }

    fn tell(&self, what: &str, reason: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            self.notices.lock().push(format!(
                "the result of {what} cannot be written to disk and stays in memory ({reason}); so will others like it"
            ));
        }
    }
}

impl Ticket {
    /// Whether getting the value takes no disk, as things are now.
    pub fn is_in_memory(&self) -> bool {
        let accounts = self.store.accounts.lock();
        !accounts.entries.get(&self.id).is_some_and(|e| matches!(e.place, Place::Disk(_) | Place::Forgotten))
    }

    /// The value, read back from disk if it is there.
    pub fn get(&self) -> Result<Value, DataError> {
        let (source, what) = {
            let accounts = self.store.accounts.lock();
            match accounts.entries.get(&self.id) {
                Some(Entry { place: Place::Memory(value) | Place::Leaving(value), .. }) => {
                    return Ok(value.clone());
                }
                Some(Entry { place: Place::Disk(file), what, .. }) => {
                    (Elsewhere::File(file.clone()), what.clone())
                }
                Some(Entry { place: Place::Forgotten, what, again: Some(again), .. }) => {
                    (Elsewhere::Again(again.clone()), what.clone())
                }
                _ => return Err(gone()),
            }
        };
        let value = source.value(&what)?;
        let cost = Cost::of(&value);
        {
            let mut accounts = self.store.accounts.lock();
            let accounts = &mut *accounts;
            let Some(entry) = accounts.entries.get_mut(&self.id) else { return Err(gone()) };
            // Another thread was faster: everybody shall see the same object.
            if let Place::Memory(value) | Place::Leaving(value) = &entry.place {
                return Ok(value.clone());
            }
            // The file goes when the local handle does, which is after the lock.
            entry.place = Place::Memory(value.clone());
            entry.cost = cost.clone();
            let rank = entry.rank(self.id);
            accounts.leavers.insert(rank);
            accounts.charge(&cost);
            accounts.stats.read_back += usize::from(matches!(source, Elsewhere::File(_)));
            self.store.publish(accounts);
        }
        // What has come back takes the place of what is needed later: a reader of many values that were
        // spilled must not fill memory with them. If the disk is full, whoever keeps the next value says so.
        let _ = Store(self.store.clone()).make_room();
        Ok(value)
    }

    /// The value, for its last reader: nothing else holds it afterwards. Its bytes stay on the
    /// books until the ticket is dropped.
    pub fn take(&self) -> Result<Value, DataError> {
        let (source, what) = {
            let mut accounts = self.store.accounts.lock();
            let accounts = &mut *accounts;
            let Some(entry) = accounts.entries.get_mut(&self.id) else { return Err(gone()) };
            let rank = entry.rank(self.id);
            match mem::replace(&mut entry.place, Place::Lent) {
                Place::Memory(value) => {
                    accounts.leavers.remove(&rank);
                    return Ok(value);
                }
                Place::Leaving(value) => {
                    accounts.leaving -= entry.cost.nbytes();
                    return Ok(value);
                }
                Place::Disk(file) => {
                    let what = entry.what.clone();
                    // Where its buffers will be is not known yet, only how long they are.
                    let cost = Cost::Bytes(entry.cost.nbytes());
                    entry.cost = cost.clone();
                    accounts.charge(&cost);
                    accounts.stats.read_back += 1;
                    self.store.publish(accounts);
                    (Elsewhere::File(file), what)
                }
                Place::Forgotten => {
                    let (again, what) = (entry.again.clone().ok_or_else(gone)?, entry.what.clone());
                    let cost = Cost::Bytes(entry.cost.nbytes());
                    entry.cost = cost.clone();
                    accounts.charge(&cost);
                    self.store.publish(accounts);
                    (Elsewhere::Again(again), what)
                }
                Place::Lent => return Err(gone()),
            }
        };
        source.value(&what)
    }

    /// Tells which task reads the value next.
    pub fn set_need(&self, need: u64) {
        let mut accounts = self.store.accounts.lock();
        let accounts = &mut *accounts;
        if let Some(entry) = accounts.entries.get_mut(&self.id) {
            let old = entry.rank(self.id);
            entry.need = need;
            let new = entry.rank(self.id);
            if accounts.leavers.remove(&old) {
                accounts.leavers.insert(new);
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.store.owner != std::process::id() {
            return;
        }
        let mut accounts = self.store.accounts.lock();
        let Some(entry) = accounts.entries.remove(&self.id) else { return };
        accounts.leavers.remove(&entry.rank(self.id));
        match &entry.place {
            Place::Memory(_) | Place::Lent => accounts.discharge(&entry.cost),
            Place::Leaving(_) => {
                accounts.leaving -= entry.cost.nbytes();
                accounts.discharge(&entry.cost);
            }
            Place::Disk(_) | Place::Forgotten => {}
        }
        self.store.publish(&accounts);
        drop(accounts);
        // Dropping the value may run the host's code: not under the lock.
        drop(entry);
    }
}

impl Entry {
    /// The greatest rank leaves first: needed last, then oldest (ids count up).
    fn rank(&self, id: u64) -> Rank {
        (self.need, u64::MAX - id, id)
    }
}

impl Cost {
    fn of(value: &Value) -> Cost {
        match value {
            Value::Frame(frame) => Cost::Allocations(allocations(frame).into()),
            Value::Array(array) => Cost::Allocations([array_allocation(array)].into()),
            other => Cost::Bytes(other.nbytes()),
        }
    }

    fn nbytes(&self) -> usize {
        match self {
            Cost::Bytes(nbytes) => *nbytes,
            Cost::Allocations(all) => all.iter().map(|a| a.nbytes).sum(),
        }
    }
}

impl Accounts {
    fn charge(&mut self, cost: &Cost) {
        match cost {
            Cost::Bytes(nbytes) => self.used += nbytes,
            Cost::Allocations(all) => {
                for allocation in all.iter() {
                    let (users, _) =
                        self.allocations.entry(allocation.address).or_insert((0, allocation.nbytes));
                    *users += 1;
                    if *users == 1 {
                        self.used += allocation.nbytes;
                    }
                }
            }
        }
    }

    fn discharge(&mut self, cost: &Cost) {
        match cost {
            Cost::Bytes(nbytes) => self.used -= nbytes,
            Cost::Allocations(all) => {
                for allocation in all.iter() {
                    if let Some((users, nbytes)) = self.allocations.get_mut(&allocation.address) {
                        *users -= 1;
                        if *users == 0 {
                            self.used -= *nbytes;
                            self.allocations.remove(&allocation.address);
                        }
                    }
                }
            }
        }
    }
}

/// Values and files on their way out, dropped once no lock is held.
struct Garbage {
    _values: Vec<Value>,
    _files: Vec<Arc<SpillFile>>,
}

/// Where a value comes from that is not in memory.
enum Elsewhere {
    File(Arc<SpillFile>),
    Again(Again),
}

impl Elsewhere {
    fn value(&self, what: &str) -> Result<Value, DataError> {
        match self {
            Elsewhere::File(file) => read(file, what),
            Elsewhere::Again(again) => again().map_err(|error| DataError::Unspill {
                what: what.to_string(),
                path: "memory".into(),
                reason: format!("it could not be made again: {error}"),
                remedy: "It was made before: compute again with a larger memory.limit",
            }),
        }
    }
}

fn read(file: &SpillFile, what: &str) -> Result<Value, DataError> {
    file.read().map_err(|error| DataError::Unspill {
        what: what.to_string(),
        path: file.path().display().to_string(),
        reason: error.to_string(),
        remedy: READ_REMEDY,
    })
}

/// A ticket's value was taken by a last reader and then asked for again: an engine's bug, told as
/// an error because a task must not bring the process down.
fn gone() -> DataError {
    DataError::Unspill {
        what: "a value".into(),
        path: "memory".into(),
        reason: "its last reader has taken it".into(),
        remedy: "This is a bug in weft; please report it",
    }
}

#[cfg(test)]
mod tests;
