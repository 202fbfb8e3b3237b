//! Locks and semaphores: what is held, and who waits for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Effect, Name, Turn, Waiter, is_late, leave_line, timed_out};
use crate::message::{CoordinateAnswer, Nanos};

fn refused(why: impl Into<String>) -> Turn {
    Turn::Now(CoordinateAnswer::Refused(why.into().into()))
}

/// Locks of one name, and of several together. A name that an earlier request in the line still waits for is not
/// given to a later one, so nobody who wants many names starves.
#[derive(Debug, Default)]
pub(super) struct Locks {
    /// Name to holder and its client.
    held: BTreeMap<Name, (Name, u32)>,
    line: Vec<LockRequest>,
}

#[derive(Debug)]
struct LockRequest {
    waiter: Waiter,
    names: Vec<Name>,
    at_least: usize,
    holder: Name,
}

impl Locks {
    pub fn lock(
        &mut self,
        names: Vec<Name>,
        at_least: Option<u32>,
        holder: Name,
        waiter: Waiter,
        out: &mut Vec<Effect>,
    ) -> Turn {
        let at_least = at_least.map_or(names.len(), |n| n as usize);
        if names.is_empty() || at_least == 0 || at_least > names.len() {
            return refused(format!("{at_least} of {} names cannot be locked", names.len()));
        }
        self.line.push(LockRequest { waiter, names, at_least, holder });
        self.move_up(out);
        Turn::Later
    }

    /// Gives what is free to those who are first in line for it.
    fn move_up(&mut self, out: &mut Vec<Effect>) {
        let mut spoken_for: BTreeSet<Name> = BTreeSet::new();
        let held = &mut self.held;
        self.line.retain(|request| {
            let free = |name: &&Name| !held.contains_key(*name) && !spoken_for.contains(*name);
            let taken: Vec<Name> =
                request.names.iter().filter(free).take(request.at_least).cloned().collect();
            if taken.len() < request.at_least {
                spoken_for.extend(request.names.iter().cloned());
                return true;
            }
            let Waiter { client, request: id, .. } = request.waiter;
            for name in &taken {
                held.insert(name.clone(), (request.holder.clone(), client));
            }
            out.push(Effect::Answer(client, id, CoordinateAnswer::Locked(taken)));
            false
        });
    }

    pub fn unlock(&mut self, names: &[Name], holder: &Name, out: &mut Vec<Effect>) -> Turn {
        if let Some(name) =
            names.iter().find(|name| self.held.get(*name).is_none_or(|(other, _)| other != holder))
        {
            return refused(format!("the lock {name} is not held by whoever wants to release it"));
        }
        for name in names {
            self.held.remove(name);
        }
        self.move_up(out);
        Turn::Now(CoordinateAnswer::Ok)
    }

    pub fn is_locked(&self, name: &Name) -> bool {
        self.held.contains_key(name)
    }

    pub fn deadlines(&self) -> impl Iterator<Item = Nanos> + '_ {
        self.line.iter().filter_map(|request| request.waiter.deadline_ns)
    }

    pub fn on_time(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        for late in leave_line(&mut self.line, |request| is_late(&request.waiter, now)) {
            timed_out(&late.waiter, out);
        }
        self.move_up(out);
    }

    pub fn client_lost(&mut self, client: u32, out: &mut Vec<Effect>) {
        self.line.retain(|request| request.waiter.client != client);
        self.held.retain(|_, (_, holder)| *holder != client);
        self.move_up(out);
    }
}

/// Semaphores. A lease ends when it is given back, when its client is gone, or when it was not renewed in time.
#[derive(Debug)]
pub(super) struct Semaphores {
    by_name: BTreeMap<Name, Semaphore>,
    lease_ns: Nanos,
}

#[derive(Debug)]
struct Semaphore {
    max: usize,
    /// Lease to its client and its end.
    leases: BTreeMap<Name, (u32, Nanos)>,
    line: VecDeque<(Waiter, Name)>,
}

impl Semaphore {
    /// Leases that wait count from when they are given.
    fn move_up(&mut self, until: Nanos, out: &mut Vec<Effect>) {
        while self.leases.len() < self.max
            && let Some((waiter, lease)) = self.line.pop_front()
        {
            self.leases.insert(lease, (waiter.client, until));
            out.push(Effect::Answer(waiter.client, waiter.request, CoordinateAnswer::Ok));
        }
    }
}

impl Semaphores {
    pub fn new(lease_ns: Nanos) -> Self {
        Semaphores { by_name: BTreeMap::new(), lease_ns }
    }

    pub fn open(&mut self, name: Name, leases: u32) -> Turn {
        let max = leases as usize;
        if max == 0 {
            return refused(format!("the semaphore {name} would never be free"));
        }
        let semaphore = self.by_name.entry(name.clone()).or_insert(Semaphore {
            max,
            leases: BTreeMap::new(),
            line: VecDeque::new(),
        });
        match semaphore.max == max {
            true => Turn::Now(CoordinateAnswer::Ok),
            false => refused(format!("the semaphore {name} has {} leases, not {max}", semaphore.max)),
        }
    }

    fn get(&mut self, name: &Name) -> Result<&mut Semaphore, Turn> {
        self.by_name
            .get_mut(name)
            .ok_or_else(|| refused(format!("there is no semaphore {name}, or it was closed")))
    }

    pub fn acquire(&mut self, name: &Name, lease: Name, waiter: Waiter, now: Nanos) -> Turn {
        let until = now + self.lease_ns;
        let semaphore = match self.get(name) {
            Ok(semaphore) => semaphore,
            Err(refusal) => return refusal,
        };
        if semaphore.leases.len() < semaphore.max && semaphore.line.is_empty() {
            semaphore.leases.insert(lease, (waiter.client, until));
            return Turn::Now(CoordinateAnswer::Ok);
        }
        semaphore.line.push_back((waiter, lease));
        Turn::Later
    }

    pub fn renew(&mut self, name: &Name, leases: &[Name], now: Nanos) -> Turn {
        let until = now + self.lease_ns;
        let semaphore = match self.get(name) {
            Ok(semaphore) => semaphore,
            Err(refusal) => return refusal,
        };
        // One that has ended is not given again: somebody else may have it.
        let lost = leases.iter().filter(|lease| match semaphore.leases.get_mut(*lease) {
            Some((_, end)) => {
                *end = until;
                false
            }
            None => true,
        });
        Turn::Now(CoordinateAnswer::Is(lost.count() == 0))
    }

    pub fn release(&mut self, name: &Name, lease: &Name, now: Nanos, out: &mut Vec<Effect>) -> Turn {
        let until = now + self.lease_ns;
        let semaphore = match self.get(name) {
            Ok(semaphore) => semaphore,
            Err(refusal) => return refusal,
        };
        let held = semaphore.leases.remove(lease).is_some();
        semaphore.move_up(until, out);
        Turn::Now(CoordinateAnswer::Is(held))
    }

    pub fn count(&mut self, name: &Name) -> Turn {
        match self.get(name) {
            Ok(semaphore) => Turn::Now(CoordinateAnswer::Count(semaphore.leases.len() as u64)),
            Err(refusal) => refusal,
        }
    }

    pub fn close(&mut self, name: &Name, out: &mut Vec<Effect>) -> Turn {
        for (waiter, _) in self.by_name.remove(name).into_iter().flat_map(|semaphore| semaphore.line) {
            let answer = CoordinateAnswer::Refused(format!("the semaphore {name} was closed").into());
            out.push(Effect::Answer(waiter.client, waiter.request, answer));
        }
        Turn::Now(CoordinateAnswer::Ok)
    }

    pub fn deadlines(&self) -> impl Iterator<Item = Nanos> + '_ {
        self.by_name.values().flat_map(|semaphore| {
            let ends = semaphore.leases.values().map(|(_, end)| *end);
            ends.chain(semaphore.line.iter().filter_map(|(waiter, _)| waiter.deadline_ns))
        })
    }

    pub fn on_time(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let until = now + self.lease_ns;
        for semaphore in self.by_name.values_mut() {
            semaphore.line.retain(|(waiter, _)| {
                if is_late(waiter, now) {
                    timed_out(waiter, out);
                }
                !is_late(waiter, now)
            });
            semaphore.leases.retain(|_, (_, end)| *end > now);
            semaphore.move_up(until, out);
        }
    }

    pub fn client_lost(&mut self, client: u32, now: Nanos, out: &mut Vec<Effect>) {
        let until = now + self.lease_ns;
        for semaphore in self.by_name.values_mut() {
            semaphore.line.retain(|(waiter, _)| waiter.client != client);
            semaphore.leases.retain(|_, (holder, _)| *holder != client);
            semaphore.move_up(until, out);
        }
    }
}
