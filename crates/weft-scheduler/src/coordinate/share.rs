//! Events, queues, variables and data sets: what is handed from one to another.

use std::collections::{BTreeMap, VecDeque};

use super::{Effect, HeldItem, Name, Turn, Waiter, is_late, leave_line, timed_out};
use crate::message::{Bytes, CoordinateAnswer, FutureId, Item, Key, Nanos};

fn refused(why: String) -> Turn {
    Turn::Now(CoordinateAnswer::Refused(why.into()))
}

/// Gives items to whoever asked for them.
fn give(waiter: &Waiter, items: Vec<HeldItem>, out: &mut Vec<Effect>) {
    out.extend(items.iter().filter_map(|item| item.kept).map(Effect::HandOver));
    let items: Vec<Item> = items.into_iter().map(|item| item.item).collect();
    out.push(Effect::Answer(waiter.client, waiter.request, CoordinateAnswer::Items(items)));
}

/// Flags that many wait for.
#[derive(Debug, Default)]
pub(super) struct Events(BTreeMap<Name, Flag>);

#[derive(Debug, Default)]
struct Flag {
    set: bool,
    line: Vec<Waiter>,
}

impl Events {
    pub fn wait(&mut self, name: Name, waiter: Waiter) -> Turn {
        let flag = self.0.entry(name).or_default();
        if flag.set {
            return Turn::Now(CoordinateAnswer::Ok);
        }
        flag.line.push(waiter);
        Turn::Later
    }

    pub fn set(&mut self, name: Name, out: &mut Vec<Effect>) -> Turn {
        let flag = self.0.entry(name).or_default();
        flag.set = true;
        for waiter in flag.line.drain(..) {
            out.push(Effect::Answer(waiter.client, waiter.request, CoordinateAnswer::Ok));
        }
        Turn::Now(CoordinateAnswer::Ok)
    }

    pub fn clear(&mut self, name: &Name) -> Turn {
        if let Some(flag) = self.0.get_mut(name) {
            flag.set = false;
        }
        self.sweep();
        Turn::Now(CoordinateAnswer::Ok)
    }

    pub fn is_set(&self, name: &Name) -> bool {
        self.0.get(name).is_some_and(|flag| flag.set)
    }

    /// A flag that is down and that nobody waits for is like one that never was.
    fn sweep(&mut self) {
        self.0.retain(|_, flag| flag.set || !flag.line.is_empty());
    }

    pub fn deadlines(&self) -> impl Iterator<Item = Nanos> + '_ {
        self.0.values().flat_map(|flag| &flag.line).filter_map(|waiter| waiter.deadline_ns)
    }

    pub fn on_time(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        for flag in self.0.values_mut() {
            for late in leave_line(&mut flag.line, |waiter| is_late(waiter, now)) {
                timed_out(&late, out);
            }
        }
        self.sweep();
    }

    pub fn client_lost(&mut self, client: u32) {
        for flag in self.0.values_mut() {
            flag.line.retain(|waiter| waiter.client != client);
        }
        self.sweep();
    }
}

/// First in, first out.
#[derive(Debug, Default)]
pub(super) struct Queues(BTreeMap<Name, Queue>);

#[derive(Debug, Default)]
struct Queue {
    /// Handles that were opened and not closed.
    opened: u64,
    /// 0: no limit.
    max_len: usize,
    items: VecDeque<HeldItem>,
    getters: Vec<(Waiter, Option<u64>)>,
    putters: Vec<(Waiter, HeldItem)>,
}

impl Queue {
    fn has_room(&self) -> bool {
        self.max_len == 0 || self.items.len() < self.max_len
    }

    fn take(&mut self, batch: Option<u64>) -> Vec<HeldItem> {
        let n = usize::try_from(batch.unwrap_or(1).max(1)).unwrap_or(usize::MAX).min(self.items.len());
        self.items.drain(..n).collect()
    }

    /// Serves those in line, as far as there are items and room.
    fn move_up(&mut self, out: &mut Vec<Effect>) {
        loop {
            let before = out.len();
            while self.has_room() && !self.putters.is_empty() {
                let (waiter, item) = self.putters.remove(0);
                self.items.push_back(item);
                out.push(Effect::Answer(waiter.client, waiter.request, CoordinateAnswer::Ok));
            }
            while !self.items.is_empty() && !self.getters.is_empty() {
                let (waiter, batch) = self.getters.remove(0);
                let items = self.take(batch);
                give(&waiter, items, out);
            }
            if out.len() == before {
                return;
            }
        }
    }
}

impl Queues {
    pub fn open(&mut self, name: Name, max_len: u64) -> Turn {
        let queue = self.0.entry(name).or_default();
        queue.opened += 1;
        if max_len > 0 {
            queue.max_len = usize::try_from(max_len).unwrap_or(usize::MAX);
        }
        Turn::Now(CoordinateAnswer::Ok)
    }

    pub fn put(&mut self, name: &Name, item: HeldItem, waiter: Waiter, out: &mut Vec<Effect>) -> Turn {
        let Some(queue) = self.0.get_mut(name) else {
            out.extend(item.kept.map(Effect::Drop));
            return refused(format!("there is no queue {name}, or it was closed"));
        };
        queue.putters.push((waiter, item));
        queue.move_up(out);
        Turn::Later
    }

    pub fn get(&mut self, name: &Name, batch: Option<u64>, waiter: Waiter, out: &mut Vec<Effect>) -> Turn {
        let Some(queue) = self.0.get_mut(name) else {
            return refused(format!("there is no queue {name}, or it was closed"));
        };
        queue.getters.push((waiter, batch));
        queue.move_up(out);
        Turn::Later
    }

    pub fn len(&self, name: &Name) -> Turn {
        match self.0.get(name) {
            Some(queue) => Turn::Now(CoordinateAnswer::Count(queue.items.len() as u64)),
            None => refused(format!("there is no queue {name}, or it was closed")),
        }
    }

    /// The last handle that is closed takes the queue with it.
    pub fn close(&mut self, name: &Name, out: &mut Vec<Effect>) -> Turn {
        if let Some(queue) = self.0.get_mut(name) {
            queue.opened = queue.opened.saturating_sub(1);
            if queue.opened == 0
                && let Some(queue) = self.0.remove(name)
            {
                let answer = CoordinateAnswer::Refused(format!("the queue {name} was closed").into());
                let getters = queue.getters.into_iter().map(|(waiter, _)| waiter);
                let putters = queue.putters.iter().map(|(waiter, _)| *waiter);
                for waiter in getters.chain(putters) {
                    out.push(Effect::Answer(waiter.client, waiter.request, answer.clone()));
                }
                let items = queue.items.into_iter().chain(queue.putters.into_iter().map(|(_, item)| item));
                out.extend(items.filter_map(|item| item.kept).map(Effect::Drop));
            }
        }
        Turn::Now(CoordinateAnswer::Ok)
    }

    pub fn deadlines(&self) -> impl Iterator<Item = Nanos> + '_ {
        self.0.values().flat_map(|queue| {
            let getters = queue.getters.iter().map(|(waiter, _)| waiter);
            getters
                .chain(queue.putters.iter().map(|(waiter, _)| waiter))
                .filter_map(|waiter| waiter.deadline_ns)
        })
    }

    pub fn on_time(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        for queue in self.0.values_mut() {
            for (late, _) in leave_line(&mut queue.getters, |(waiter, _)| is_late(waiter, now)) {
                timed_out(&late, out);
            }
            for (late, item) in leave_line(&mut queue.putters, |(waiter, _)| is_late(waiter, now)) {
                timed_out(&late, out);
                out.extend(item.kept.map(Effect::Drop));
            }
        }
    }

    pub fn client_lost(&mut self, client: u32, out: &mut Vec<Effect>) {
        for queue in self.0.values_mut() {
            queue.getters.retain(|(waiter, _)| waiter.client != client);
            for (_, item) in leave_line(&mut queue.putters, |(waiter, _)| waiter.client == client) {
                out.extend(item.kept.map(Effect::Drop));
            }
        }
    }
}

/// One item that can be set again; whoever asks before it is set waits.
#[derive(Debug, Default)]
pub(super) struct Variables(BTreeMap<Name, Variable>);

#[derive(Debug, Default)]
struct Variable {
    item: Option<HeldItem>,
    line: Vec<Waiter>,
}

impl Variables {
    /// What a variable held is handed over, not dropped: somebody may just have read it.
    pub fn set(&mut self, name: Name, item: HeldItem, out: &mut Vec<Effect>) -> Turn {
        let variable = self.0.entry(name).or_default();
        for waiter in variable.line.drain(..) {
            out.push(Effect::Answer(
                waiter.client,
                waiter.request,
                CoordinateAnswer::Items(vec![item.item.clone()]),
            ));
        }
        let old = variable.item.replace(item);
        out.extend(old.and_then(|old| old.kept).map(Effect::HandOver));
        Turn::Now(CoordinateAnswer::Ok)
    }

    pub fn get(&mut self, name: Name, waiter: Waiter, out: &mut Vec<Effect>) -> Turn {
        let variable = self.0.entry(name).or_default();
        match &variable.item {
            Some(item) => {
                let item = item.item.clone();
                out.push(Effect::Answer(waiter.client, waiter.request, CoordinateAnswer::Items(vec![item])));
            }
            None => variable.line.push(waiter),
        }
        Turn::Later
    }

    pub fn delete(&mut self, name: &Name, out: &mut Vec<Effect>) -> Turn {
        if let Some(variable) = self.0.remove(name) {
            let answer = CoordinateAnswer::Refused(format!("the variable {name} was deleted").into());
            for waiter in variable.line {
                out.push(Effect::Answer(waiter.client, waiter.request, answer.clone()));
            }
            out.extend(variable.item.and_then(|item| item.kept).map(Effect::HandOver));
        }
        Turn::Now(CoordinateAnswer::Ok)
    }

    fn sweep(&mut self) {
        self.0.retain(|_, variable| variable.item.is_some() || !variable.line.is_empty());
    }

    pub fn deadlines(&self) -> impl Iterator<Item = Nanos> + '_ {
        self.0.values().flat_map(|variable| &variable.line).filter_map(|waiter| waiter.deadline_ns)
    }

    pub fn on_time(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        for variable in self.0.values_mut() {
            for late in leave_line(&mut variable.line, |waiter| is_late(waiter, now)) {
                timed_out(&late, out);
            }
        }
        self.sweep();
    }

    pub fn client_lost(&mut self, client: u32) {
        for variable in self.0.values_mut() {
            variable.line.retain(|waiter| waiter.client != client);
        }
        self.sweep();
    }
}

/// Keys that stay wanted under a name.
#[derive(Debug)]
pub(super) struct Dataset {
    pub keys: Vec<Key>,
    pub kept: Vec<FutureId>,
    pub data: Bytes,
}
