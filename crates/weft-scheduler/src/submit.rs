//! What clients want: graphs, futures, cancelling, trying again.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::AHashSet;

use crate::event::Action;
use crate::links::NIL;
use crate::message::{
    Blob, Bytes, ClientHello, ClientId, ClientWelcome, Digest, FutureId, Key, Priority, Scattered, TaskId,
    TaskOptions, ToClient, ToWorker, WorkerId,
};
use crate::plan::{Plan, Spec, Work};
use crate::scheduler::{KEEPER, Scheduler};
use crate::story::Cause;
use crate::task::{State, Task};
use crate::worker::{Client, Later, Parked};

impl Scheduler {
    pub(crate) fn client_hello(&mut self, client: ClientId, hello: ClientHello) {
        if client.0 == KEEPER {
            let reason = "there are too many clients".into();
            self.other_actions.push(Action::DisconnectClient { client, reason });
            return;
        }
        self.clients.entry(client.0).or_insert_with(|| Client::new(hello.name.clone()));
        if hello.last_epoch.is_some_and(|epoch| epoch != self.config.epoch) {
            self.start_recovery();
        }
        let epoch = self.config.epoch;
        if let Some(entry) = self.clients.get_mut(&client.0) {
            // A connection made again: it may have missed addresses and questions.
            entry.knows = crate::worker::BitSet::default();
            entry.parked = None;
            entry.stale = entry.futures.keys().copied().collect();
        }
        if let Some(outbox) = self.tell_client(client.0) {
            outbox.send(ToClient::Welcome(ClientWelcome { epoch, client }));
        }
    }

    pub(crate) fn resumed(&mut self, client: u32) {
        let Some(entry) = self.clients.get_mut(&client) else { return };
        let mut stale: Vec<FutureId> = std::mem::take(&mut entry.stale).into_iter().collect();
        stale.sort_unstable();
        for future in stale {
            self.unwant(client, future);
        }
    }

    pub(crate) fn client_lost(&mut self, client: ClientId) {
        if client.0 == KEEPER || !self.clients.contains_key(&client.0) {
            return;
        }
        self.coordination_client_lost(client.0);
        while let Some(entry) = self.clients.get(&client.0)
            && entry.wants != NIL
        {
            let future = self.want_futures[entry.wants as usize];
            self.unwant(client.0, future);
        }
        self.clients.remove(&client.0);
    }

    /// A graph whose blobs may not all be here.
    pub(crate) fn graph(&mut self, client: ClientId, mut plan: Plan) {
        for blob in std::mem::take(&mut plan.blobs) {
            self.layers.blobs.add(blob);
        }
        let missing: AHashSet<Digest> = plan
            .digests
            .iter()
            .copied()
            .filter(|&digest| self.layers.blobs.bytes(digest).is_none())
            .collect();
        if missing.is_empty() {
            return self.insert_plan(client.0, plan);
        }
        let mut digests: Vec<Digest> = missing.iter().copied().collect();
        digests.sort_unstable();
        if let Some(outbox) = self.tell_client(client.0) {
            outbox.send(ToClient::NeedBlobs { digests });
        }
        if let Some(entry) = self.clients.get_mut(&client.0) {
            entry.parked = Some(Parked { plan, missing, later: VecDeque::new() });
        }
    }

    pub(crate) fn blobs_arrived(&mut self, blobs: Vec<Blob>) {
        let arrived: Vec<Digest> = blobs.iter().map(|blob| blob.digest).collect();
        for blob in blobs {
            self.layers.blobs.add(blob);
        }
        let mut complete = Vec::new();
        let mut missed = false;
        for (&client, entry) in &mut self.clients {
            let Some(parked) = &mut entry.parked else { continue };
            arrived.iter().for_each(|digest| {
                parked.missing.remove(digest);
            });
            if parked.missing.is_empty() { complete.push(client) } else { missed = true }
        }
        complete.sort_unstable();
        for client in complete {
            self.unpark(client);
        }
        if !missed {
            self.layers.blobs.sweep(arrived);
        }
    }

    /// The graph that held a client up can go in, and what the client has said since is heard.
    fn unpark(&mut self, client: u32) {
        let Some(parked) = self.clients.get_mut(&client).and_then(|entry| entry.parked.take()) else {
            return;
        };
        self.insert_plan(client, parked.plan);
        let mut later = parked.later;
        while let Some(next) = later.pop_front() {
            match next {
                Later::Message(message) => self.heard_client(ClientId(client), message),
                Later::Plan(plan) => self.graph(ClientId(client), plan),
            }
            if let Some(parked) = self.clients.get_mut(&client).and_then(|entry| entry.parked.as_mut()) {
                parked.later.append(&mut later);
            }
        }
    }

    pub(crate) fn insert_plan(&mut self, client: u32, plan: Plan) {
        if !plan.same_generation || self.generation == 0 {
            self.generation += 1;
        }
        let n = plan.n_tasks();
        let Plan { expanded, order, rootish, futures, digests, .. } = plan;
        self.tasks.reserve(n);
        let mut sizes = vec![0u32; expanded.layers.len()];
        for origin in &expanded.origins {
            sizes[origin.layer as usize] += 1;
        }
        let layers: Vec<u32> =
            expanded.layers.iter().map(|layer| self.layers.insert(layer.clone())).collect();
        for (&layer, &size) in layers.iter().zip(&sizes) {
            let prefix = match &self.layers.get(layer).layer.rule {
                weft_graph::Rule::Explicit { .. } => None,
                _ => Some(self.prefixes.of(&self.layers.get(layer).layer.name.prefix())),
            };
            let entry = self.layers.get_mut(layer);
            entry.size = size;
            entry.prefix = prefix;
        }
        self.index.reserve(n, &self.tasks, &self.layers);
        self.deps.reserve(expanded.dag.edges());
        self.wants.reserve(futures.len());
        if let Some(entry) = self.clients.get_mut(&client) {
            entry.futures.reserve(futures.len());
        }

        // Which task each of the plan's tasks is. `fresh`: it has no reads yet.
        // Tasks go in in the order in which they will run, so that those which are handled together lie together.
        let mut slots: Vec<u32> = vec![NIL; n];
        let mut fresh: Vec<bool> = vec![true; n];
        let sequence = in_order(&order);
        let mut last_prefix: Option<(Key, u32)> = None;
        for &i in &sequence {
            let i = i as usize;
            let origin = &expanded.origins[i];
            let at = layers[origin.layer as usize];
            let layer = &expanded.layers[origin.layer as usize];
            let known = self.index.find_or_place(at, origin.index, &self.tasks, &self.layers);
            if let Ok(slot) = known {
                let computable = !matches!(layer.work.work, Work::Known);
                let upgrade = computable && !self.layers.is_computable(self.tasks[slot].layer);
                if upgrade {
                    // A result of which only its holder spoke: now we know how to make it.
                    let old = std::mem::replace(&mut self.tasks[slot].layer, at);
                    self.tasks[slot].index = origin.index;
                    self.layers.get_mut(at).tasks += 1;
                    self.layers.forget_task(old);
                    if self.tasks[slot].state == State::Erred {
                        self.failures.remove(&slot);
                        self.step(slot, State::Released, Cause::Computable, NIL);
                    }
                }
                slots[i] = slot;
                fresh[i] = upgrade;
                continue;
            }
            let options = &layer.work.options;
            let order = order[i];
            let user = options.priority.saturating_neg();
            let priority = Priority { user, generation: self.generation, order };
            let prefix = match self.layers.get(at).prefix {
                Some(prefix) => prefix,
                None => {
                    let key = layer.key(origin.index);
                    let collection = key.collection().clone();
                    match &last_prefix {
                        Some((last, prefix)) if *last == collection => *prefix,
                        _ => {
                            let prefix = self.prefixes.of(&key.prefix());
                            last_prefix = Some((collection, prefix));
                            prefix
                        }
                    }
                }
            };
            let mut task = Task::new(at, origin.index, prefix, priority);
            task.rootish = rootish[origin.layer as usize]
                || expanded.dag.dependencies(weft_graph::TaskId(i as u32)).is_empty();
            let slot = self.tasks.insert(task);
            self.prefixes.came(prefix);
            if let Err(place) = known {
                place.insert(slot);
            }
            self.layers.get_mut(at).tasks += 1;
            slots[i] = slot;
        }
        for &i in &sequence {
            let (i, slot) = (i as usize, slots[i as usize]);
            if !fresh[i] {
                continue;
            }
            // A new link comes first, so the last read goes in first.
            for read in expanded.dag.dependencies(weft_graph::TaskId(i as u32)).iter().rev() {
                let read = slots[read.index()];
                let link = self.deps.add(slot, self.tasks[slot].deps, read, self.tasks[read].dependents);
                self.tasks[slot].deps = link;
                self.tasks[read].dependents = link;
            }
            // An upgraded task may be waited for by readers, but never waits itself: it is in memory or failed.
        }
        for (&output, &future) in expanded.outputs.iter().zip(&futures) {
            self.want(client, future, slots[output.index()]);
        }
        // What turned out not to be needed: inputs of results that are there already.
        self.loose.extend(slots.iter().copied().filter(|&slot| !self.tasks[slot].is_needed()));
        for layer in layers {
            let gone = self.layers.remove_unused(layer);
            self.forget_blobs(&gone);
        }
        self.layers.blobs.sweep(digests);
    }

    /// A client's future stands for a task.
    pub(crate) fn want(&mut self, client: u32, future: FutureId, slot: u32) {
        let Some(entry) = self.clients.get_mut(&client) else { return };
        entry.stale.remove(&future);
        if let Some(&link) = entry.futures.get(&future) {
            // Said again after a reconnection.
            let old = self.wants.left(link);
            if old == slot {
                return self.announce_to(slot, link);
            }
            self.unwant(client, future);
        }
        let Some(entry) = self.clients.get_mut(&client) else { return };
        let link = self.wants.add(slot, self.tasks[slot].wants, client, entry.wants);
        entry.wants = link;
        entry.futures.insert(future, link);
        self.tasks[slot].wants = link;
        if self.want_futures.len() <= link as usize {
            self.want_futures.resize(link as usize + 1, FutureId(0));
        }
        self.want_futures[link as usize] = future;
        if self.tasks[slot].state == State::Released {
            self.needed.push(slot);
        } else {
            self.announce_to(slot, link);
        }
    }

    pub(crate) fn want_key(&mut self, client: u32, future: FutureId, key: &Key) {
        match self.find(key) {
            Some(slot) => self.want(client, future, slot),
            None => {
                if let Some(outbox) = self.tell_client(client) {
                    outbox.cancelled(future, &"the scheduler does not know this key (any more)".into());
                }
            }
        }
    }

    pub(crate) fn unwant(&mut self, client: u32, future: FutureId) {
        let Some(entry) = self.clients.get_mut(&client) else { return };
        let Some(link) = entry.futures.remove(&future) else { return };
        let removed = self.wants.remove(link);
        if let Some(head) = removed.right_head {
            entry.wants = head;
        }
        if let Some(head) = removed.left_head {
            self.tasks[removed.left].wants = head;
        }
        if !self.tasks[removed.left].is_needed() {
            self.loose.push(removed.left);
        }
    }

    /// The task of a client's future.
    pub(crate) fn future(&self, client: u32, future: FutureId) -> Option<u32> {
        Some(self.wants.left(*self.clients.get(&client)?.futures.get(&future)?))
    }

    /// Keeps a task wanted on nobody's behalf until [`Scheduler::unkeep`].
    pub(crate) fn keep(&mut self, slot: u32) -> FutureId {
        self.next_kept += 1;
        let future = FutureId(self.next_kept);
        self.want(KEEPER, future, slot);
        future
    }

    pub(crate) fn unkeep(&mut self, future: FutureId) {
        self.unwant(KEEPER, future);
    }

    /// `fire_and_forget`: the tasks are wanted until they are done.
    pub(crate) fn detach(&mut self, client: u32, futures: &[FutureId]) {
        for &future in futures {
            if let Some(slot) = self.future(client, future)
                && !matches!(self.tasks[slot].state, State::Memory | State::Erred)
            {
                self.next_kept += 1;
                self.want(KEEPER, FutureId(self.next_kept | DETACHED), slot);
            }
        }
    }

    pub(crate) fn detached_done(&mut self, client: u32, future: FutureId) {
        if client == KEEPER && future.0 & DETACHED != 0 {
            self.unwant(KEEPER, future);
        }
    }

    pub(crate) fn cancel(&mut self, client: u32, futures: &[FutureId], force: bool, reason: &Arc<str>) {
        let mut slots: Vec<u32> = futures.iter().filter_map(|&future| self.future(client, future)).collect();
        let mut seen: AHashSet<u32> = slots.iter().copied().collect();
        while let Some(slot) = slots.pop() {
            let wants: Vec<u32> = self.wants.links_of_left(self.tasks[slot].wants).collect();
            let others = wants.iter().any(|&want| self.wants.right(want) != client);
            if others && !force {
                // Only ours go.
                for want in
                    wants.into_iter().filter(|&want| self.wants.right(want) == client).collect::<Vec<_>>()
                {
                    self.cancel_want(want, reason);
                }
                continue;
            }
            for want in wants {
                self.cancel_want(want, reason);
            }
            for reader in self.deps.lefts(self.tasks[slot].dependents) {
                if seen.insert(reader) {
                    slots.push(reader);
                }
            }
        }
    }

    fn cancel_want(&mut self, want: u32, reason: &Arc<str>) {
        let (client, future) = (self.wants.right(want), self.want_futures[want as usize]);
        self.unwant(client, future);
        if let Some(outbox) = self.tell_client(client) {
            outbox.cancelled(future, reason);
        }
    }

    pub(crate) fn retry(&mut self, client: u32, futures: &[FutureId]) {
        let mut slots: Vec<u32> = futures.iter().filter_map(|&future| self.future(client, future)).collect();
        while let Some(slot) = slots.pop() {
            if self.tasks[slot].state != State::Erred {
                continue;
            }
            self.failures.remove(&slot);
            self.trouble.remove(&slot);
            let task = &mut self.tasks[slot];
            (task.tries, task.suspicious) = (0, 0);
            self.step(slot, State::Released, Cause::TriedAgain, NIL);
            slots.extend(self.deps.rights(self.tasks[slot].deps));
            if self.tasks[slot].is_needed() {
                self.needed.push(slot);
            }
            let wants: Vec<u32> = self.wants.links_of_left(self.tasks[slot].wants).collect();
            for want in wants {
                let (client, future) = (self.wants.right(want), self.want_futures[want as usize]);
                if let Some(outbox) = self.tell_client(client) {
                    outbox.retried(future);
                }
            }
        }
    }

    pub(crate) fn scattered(&mut self, client: u32, data: Vec<Scattered>) {
        for item in data {
            let holders: Vec<u32> =
                item.workers.iter().map(|w| w.0).filter(|&w| self.worker(w).is_some()).collect();
            let slot = self.data_task(&item.key);
            self.want(client, item.future, slot);
            for worker in holders {
                self.hold(slot, worker, item.nbytes);
            }
            if self.tasks[slot].state == State::Released {
                // All who had it are gone already.
                self.tasks[slot].nbytes = item.nbytes.max(1);
                self.needed.push(slot);
            }
        }
    }

    /// The task of this key; made without work if there is none.
    fn data_task(&mut self, key: &Key) -> u32 {
        if let Some(slot) = self.find(key) {
            return slot;
        }
        let spec = Spec { work: Work::Known, options: Arc::new(TaskOptions::default()) };
        let rule = weft_graph::Rule::Single { reads: vec![] };
        let layer = Arc::new(weft_graph::Layer { name: key.clone(), inputs: vec![], rule, work: spec });
        let at = self.layers.insert(layer);
        let prefix = self.prefixes.of(&key.prefix());
        let entry = self.layers.get_mut(at);
        (entry.tasks, entry.size, entry.prefix) = (1, 1, Some(prefix));
        let priority = Priority { user: 0, generation: self.generation, order: 0 };
        let mut task = Task::new(at, 0, prefix, priority);
        task.rootish = true;
        let slot = self.tasks.insert(task);
        self.prefixes.came(prefix);
        self.index.insert(slot, &self.tasks, &self.layers);
        slot
    }

    /// A worker has the result of a task that nobody sent it.
    fn hold(&mut self, slot: u32, worker: u32, nbytes: u64) {
        if self.tasks[slot].state == State::Memory {
            if self.replica(slot, worker).is_none() {
                self.add_replica(slot, worker);
            }
            return;
        }
        self.withdraw(slot);
        if self.tasks[slot].state == State::Processing {
            self.tasks[slot].state = State::Waiting;
        }
        self.arrived(slot, worker, nbytes, Cause::Held);
    }

    /// Results that a worker brings along. Gives their identifiers.
    pub(crate) fn adopt(&mut self, worker: u32, held: &[(Key, u64)]) -> Vec<TaskId> {
        if held.is_empty() {
            return Vec::new();
        }
        self.start_recovery();
        held.iter()
            .map(|(key, nbytes)| {
                let slot = self.data_task(key);
                self.hold(slot, worker, *nbytes);
                let id = self.tasks.id(slot);
                if self.recovering_until.is_some() {
                    // Who wants it may yet come, and who needs it now may be found to be done.
                    let future = self.keep(slot);
                    self.orphans.push(future);
                }
                id
            })
            .collect()
    }

    /// Workers or clients of an earlier scheduler come back: hold on until all have had time to.
    fn start_recovery(&mut self) {
        let until = self.started_ns.unwrap_or(self.now) + self.config.recovery_ns;
        if self.now < until {
            self.recovering_until = Some(until);
        }
    }

    pub(crate) fn end_recovery(&mut self) {
        self.recovering_until = None;
        for future in std::mem::take(&mut self.orphans) {
            self.unkeep(future);
        }
    }

    pub(crate) fn forget_blobs(&mut self, digests: &[Digest]) {
        if digests.is_empty() {
            return;
        }
        for w in 0..self.workers.len() as u32 {
            let Some(entry) = self.worker_mut(w) else { continue };
            let theirs: Vec<Digest> =
                digests.iter().copied().filter(|digest| entry.blobs.remove(digest)).collect();
            if !theirs.is_empty()
                && let Some(outbox) = self.tell(w)
            {
                outbox.send(ToWorker::ForgetBlobs { digests: theirs });
            }
        }
    }

    pub(crate) fn need_blobs(&mut self, worker: u32, digests: &[Digest]) {
        let blobs: Vec<Blob> = digests
            .iter()
            .filter_map(|&digest| {
                let bytes: Bytes = self.layers.blobs.bytes(digest)?.clone();
                Some(Blob { digest, bytes })
            })
            .collect();
        if let Some(entry) = self.worker_mut(worker) {
            entry.blobs.extend(blobs.iter().map(|blob| blob.digest));
        }
        if let Some(outbox) = self.tell(worker) {
            outbox.send(ToWorker::Blobs { blobs });
        }
    }

    /// Every client forgets every future; workers are restarted by the shell.
    pub(crate) fn restart(&mut self, client: u32, request: crate::message::RequestId) {
        let reason: Arc<str> = "the cluster was restarted".into();
        let mut clients: Vec<u32> = self.clients.keys().copied().collect();
        clients.sort_unstable();
        for other in clients {
            if let Some(entry) = self.clients.get_mut(&other) {
                entry.parked = None;
            }
            while let Some(entry) = self.clients.get(&other)
                && entry.wants != NIL
            {
                let want = entry.wants;
                self.cancel_want(want, &reason);
            }
        }
        self.coordination_restart();
        self.other_actions.push(Action::RestartWorkers);
        let workers = self.worker_names();
        self.answer(client, request, crate::message::Answer::Ok { workers });
    }

    pub(crate) fn worker_names(&self) -> Vec<Arc<str>> {
        self.workers.iter().flatten().map(|entry| entry.hello.address.clone()).collect()
    }

    pub(crate) fn holders(&self, slot: u32) -> Vec<WorkerId> {
        self.replicas.rights(self.tasks[slot].replicas).map(WorkerId).collect()
    }
}

/// Marks the keeper's futures that are let go when they are done.
const DETACHED: u64 = 1 << 63;

/// The tasks by their places.
fn in_order(places: &[u32]) -> Vec<u32> {
    let mut sequence = vec![NIL; places.len()];
    for (i, &place) in places.iter().enumerate() {
        match sequence.get_mut(place as usize) {
            Some(entry) if *entry == NIL => *entry = i as u32,
            // Places of the client's own may leave gaps and say one twice.
            _ => {
                let mut sequence: Vec<u32> = (0..places.len() as u32).collect();
                sequence.sort_by_key(|&i| places[i as usize]);
                return sequence;
            }
        }
    }
    sequence
}
