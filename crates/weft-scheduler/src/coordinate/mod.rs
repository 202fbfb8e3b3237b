//! Locks, events, queues, variables and topics: what clients and tasks share through the scheduler.
//!
//! [`Coordination`] is a state machine of its own beside the tasks: operations go in, [`Effect`]s come out. Who
//! asks for what is not there yet waits in line, in the order of asking, until it is there, its time is up, or its
//! client is gone. What a client holds is given back when the client is gone.
//!
//! Futures in queues, variables and data sets keep their tasks wanted. When such a future is handed to a client,
//! its task stays wanted for a while on top, until the client has had time to say that it wants it.

mod hold;
mod share;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::message::{
    Bytes, CoordinateAnswer, CoordinateOp, FutureId, Item, Key, Nanos, RequestId, ToClient,
};
use crate::scheduler::Scheduler;
use hold::{Locks, Semaphores};
use share::{Dataset, Events, Queues, Variables};

/// How long a task stays wanted after its future was handed out.
const HAND_OVER_NS: Nanos = 30_000_000_000;

type Name = Arc<str>;

/// Somebody in line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub client: u32,
    pub request: RequestId,
    pub deadline_ns: Option<Nanos>,
}

/// What comes of an operation.
#[derive(Debug)]
pub(crate) enum Effect {
    Answer(u32, RequestId, CoordinateAnswer),
    Topic(u32, Name, Bytes),
    /// Nothing holds this future any more.
    Drop(FutureId),
    /// Its item goes to a client.
    HandOver(FutureId),
}

/// An item with what keeps its task wanted.
#[derive(Clone, Debug)]
pub(crate) struct HeldItem {
    pub item: Item,
    pub kept: Option<FutureId>,
}

#[derive(Debug)]
pub(crate) struct Coordination {
    locks: Locks,
    semaphores: Semaphores,
    events: Events,
    queues: Queues,
    variables: Variables,
    topics: BTreeMap<Name, Vec<u32>>,
    datasets: BTreeMap<Bytes, Dataset>,
    /// Futures handed out lately, and until when they are kept.
    handed: Vec<(Nanos, FutureId)>,
    effects: Vec<Effect>,
}

/// The answer to somebody who waits, or their place in line.
pub(crate) enum Turn {
    Now(CoordinateAnswer),
    Later,
}

impl Coordination {
    pub fn new(lease_ns: Nanos) -> Self {
        Coordination {
            locks: Locks::default(),
            semaphores: Semaphores::new(lease_ns),
            events: Events::default(),
            queues: Queues::default(),
            variables: Variables::default(),
            topics: BTreeMap::new(),
            datasets: BTreeMap::new(),
            handed: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// When something times out next.
    pub fn next_wake_ns(&self) -> Option<Nanos> {
        let waiters = self.locks.deadlines().chain(self.semaphores.deadlines());
        let waiters = waiters.chain(self.events.deadlines()).chain(self.queues.deadlines());
        let handed = self.handed.iter().map(|(until, _)| *until);
        waiters.chain(self.variables.deadlines()).chain(handed).min()
    }

    fn on_time(&mut self, now: Nanos) {
        let out = &mut self.effects;
        self.locks.on_time(now, out);
        self.semaphores.on_time(now, out);
        self.events.on_time(now, out);
        self.queues.on_time(now, out);
        self.variables.on_time(now, out);
        self.handed.retain(|&(until, kept)| {
            if until <= now {
                out.push(Effect::Drop(kept));
            }
            until > now
        });
    }

    fn client_lost(&mut self, client: u32, now: Nanos) {
        let out = &mut self.effects;
        self.locks.client_lost(client, out);
        self.semaphores.client_lost(client, now, out);
        self.events.client_lost(client);
        self.queues.client_lost(client, out);
        self.variables.client_lost(client);
        self.topics.retain(|_, subscribers| {
            subscribers.retain(|&other| other != client);
            !subscribers.is_empty()
        });
    }
}

/// Adds when a wait ends to when it began.
fn deadline(timeout: Option<Nanos>, now: Nanos) -> Option<Nanos> {
    timeout.map(|timeout| now.saturating_add(timeout))
}

/// Takes out of a line those whose time is up, or whom `gone` names.
fn leave_line<T>(line: &mut Vec<T>, gone: impl Fn(&T) -> bool) -> Vec<T> {
    line.extract_if(.., |waiter| gone(waiter)).collect()
}

fn is_late(waiter: &Waiter, now: Nanos) -> bool {
    waiter.deadline_ns.is_some_and(|deadline| deadline <= now)
}

fn timed_out(waiter: &Waiter, out: &mut Vec<Effect>) {
    out.push(Effect::Answer(waiter.client, waiter.request, CoordinateAnswer::TimedOut));
}

impl Scheduler {
    pub(crate) fn coordinate(&mut self, client: u32, request: RequestId, op: CoordinateOp) {
        let now = self.now;
        let wait = |timeout| Waiter { client, request, deadline_ns: deadline(timeout, now) };
        let state = &mut self.coordination;
        let out = &mut state.effects;
        use CoordinateAnswer as Answer;
        use CoordinateOp as Op;
        let turn = match op {
            Op::Lock { names, at_least, holder, timeout_ns } => {
                state.locks.lock(names, at_least, holder, wait(timeout_ns), out)
            }
            Op::Unlock { names, holder } => state.locks.unlock(&names, &holder, out),
            Op::IsLocked { name } => Turn::Now(Answer::Is(state.locks.is_locked(&name))),
            Op::SemaphoreOpen { name, leases } => state.semaphores.open(name, leases),
            Op::SemaphoreAcquire { name, lease, timeout_ns } => {
                state.semaphores.acquire(&name, lease, wait(timeout_ns), now)
            }
            Op::SemaphoreRenew { name, leases } => state.semaphores.renew(&name, &leases, now),
            Op::SemaphoreRelease { name, lease } => state.semaphores.release(&name, &lease, now, out),
            Op::SemaphoreCount { name } => state.semaphores.count(&name),
            Op::SemaphoreClose { name } => state.semaphores.close(&name, out),
            Op::EventWait { name, timeout_ns } => state.events.wait(name, wait(timeout_ns)),
            Op::EventSet { name } => state.events.set(name, out),
            Op::EventClear { name } => state.events.clear(&name),
            Op::EventIsSet { name } => Turn::Now(Answer::Is(state.events.is_set(&name))),
            Op::QueueOpen { name, max_len } => state.queues.open(name, max_len),
            Op::QueuePut { name, item, timeout_ns } => match self.hold_item(item) {
                Err(problem) => Turn::Now(problem),
                Ok(item) => {
                    let state = &mut self.coordination;
                    state.queues.put(&name, item, wait(timeout_ns), &mut state.effects)
                }
            },
            Op::QueueGet { name, batch, timeout_ns } => state.queues.get(&name, batch, wait(timeout_ns), out),
            Op::QueueLen { name } => state.queues.len(&name),
            Op::QueueClose { name } => state.queues.close(&name, out),
            Op::VariableSet { name, item } => match self.hold_item(item) {
                Err(problem) => Turn::Now(problem),
                Ok(item) => {
                    let state = &mut self.coordination;
                    state.variables.set(name, item, &mut state.effects)
                }
            },
            Op::VariableGet { name, timeout_ns } => state.variables.get(name, wait(timeout_ns), out),
            Op::VariableDelete { name } => state.variables.delete(&name, out),
            Op::Publish { topic, message } => {
                let subscribers = state.topics.get(&topic).cloned().unwrap_or_default();
                let n = subscribers.len() as u64;
                out.extend(
                    subscribers.into_iter().map(|to| Effect::Topic(to, topic.clone(), message.clone())),
                );
                Turn::Now(Answer::Count(n))
            }
            Op::Subscribe { topic } => {
                let subscribers = state.topics.entry(topic).or_default();
                if !subscribers.contains(&client) {
                    subscribers.push(client);
                }
                Turn::Now(Answer::Ok)
            }
            Op::Unsubscribe { topic } => {
                if let Some(subscribers) = state.topics.get_mut(&topic) {
                    subscribers.retain(|&other| other != client);
                    if subscribers.is_empty() {
                        state.topics.remove(&topic);
                    }
                }
                Turn::Now(Answer::Ok)
            }
            Op::Subscribers { topic } => {
                Turn::Now(Answer::Count(state.topics.get(&topic).map_or(0, |list| list.len() as u64)))
            }
            Op::DatasetPublish { name, keys, data, overwrite } => self.publish(name, keys, data, overwrite),
            Op::DatasetGet { name } => match state.datasets.get(&name) {
                None => Turn::Now(Answer::Refused("there is no data set of this name".into())),
                Some(dataset) => {
                    let (keys, data) = (dataset.keys.clone(), dataset.data.clone());
                    let slots: Vec<u32> = keys.iter().filter_map(|key| self.find(key)).collect();
                    for slot in slots {
                        let kept = self.keep(slot);
                        self.coordination.handed.push((now + HAND_OVER_NS, kept));
                    }
                    Turn::Now(Answer::Dataset { keys, data })
                }
            },
            Op::DatasetUnpublish { name } => match state.datasets.remove(&name) {
                None => Turn::Now(Answer::Refused("there is no data set of this name".into())),
                Some(dataset) => {
                    out.extend(dataset.kept.into_iter().map(Effect::Drop));
                    Turn::Now(Answer::Ok)
                }
            },
            Op::DatasetList => Turn::Now(Answer::Names(state.datasets.keys().cloned().collect())),
        };
        if let Turn::Now(answer) = turn {
            self.coordination.effects.push(Effect::Answer(client, request, answer));
        }
        self.carry_out();
    }

    fn hold_item(&mut self, item: Item) -> Result<HeldItem, CoordinateAnswer> {
        let kept = match &item {
            Item::Data(_) => None,
            Item::Future(key) => match self.find(key) {
                Some(slot) => Some(self.keep(slot)),
                None => {
                    let why = format!("the future {key} is not known to the scheduler (any more)");
                    return Err(CoordinateAnswer::Refused(why.into()));
                }
            },
        };
        Ok(HeldItem { item, kept })
    }

    fn publish(&mut self, name: Bytes, keys: Vec<Key>, data: Bytes, overwrite: bool) -> Turn {
        if !overwrite && self.coordination.datasets.contains_key(&name) {
            return Turn::Now(CoordinateAnswer::Refused("there is a data set of this name already".into()));
        }
        let slots: Option<Vec<u32>> = keys.iter().map(|key| self.find(key)).collect();
        let Some(slots) = slots else {
            return Turn::Now(CoordinateAnswer::Refused(
                "not all of its keys are known to the scheduler".into(),
            ));
        };
        let kept = slots.into_iter().map(|slot| self.keep(slot)).collect();
        if let Some(old) = self.coordination.datasets.insert(name, Dataset { keys, kept, data }) {
            self.coordination.effects.extend(old.kept.into_iter().map(Effect::Drop));
        }
        Turn::Now(CoordinateAnswer::Ok)
    }

    /// Does what came of an operation, and looks when something times out next.
    fn carry_out(&mut self) {
        for effect in std::mem::take(&mut self.coordination.effects) {
            match effect {
                Effect::Answer(client, request, answer) => {
                    if let Some(outbox) = self.tell_client(client) {
                        outbox.send(ToClient::Coordinate { request, answer });
                    }
                }
                Effect::Topic(client, topic, message) => {
                    if let Some(outbox) = self.tell_client(client) {
                        outbox.send(ToClient::Topic { topic, message });
                    }
                }
                Effect::Drop(kept) => self.unkeep(kept),
                Effect::HandOver(kept) => self.coordination.handed.push((self.now + HAND_OVER_NS, kept)),
            }
        }
        self.coordination_wake_ns = self.coordination.next_wake_ns();
    }

    /// True if anything was due.
    pub(crate) fn coordination_on_time(&mut self) -> bool {
        let now = self.now;
        let due = self.coordination_wake_ns.is_some_and(|wake| wake <= now);
        if due {
            self.coordination.on_time(now);
            self.carry_out();
        }
        due
    }

    pub(crate) fn coordination_client_lost(&mut self, client: u32) {
        self.coordination.client_lost(client, self.now);
        self.carry_out();
    }

    /// Everything that anybody held is gone; whoever waits is told.
    pub(crate) fn coordination_restart(&mut self) {
        let mut clients: Vec<u32> = self.clients.keys().copied().collect();
        clients.sort_unstable();
        for client in clients {
            self.coordination.client_lost(client, self.now);
        }
        self.carry_out();
        self.coordination = Coordination::new(self.config.lease_timeout_ns);
        self.coordination_wake_ns = None;
    }
}
