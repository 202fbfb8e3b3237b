//! Locks, events, queues, variables and topics.

use crate::message::{CoordinateAnswer, CoordinateOp, RequestId, ToClient};
use crate::scheduler::Scheduler;

impl Scheduler {
    pub(crate) fn coordinate(&mut self, client: u32, request: RequestId, _op: CoordinateOp) {
        let answer = CoordinateAnswer::Refused("coordination is not there yet".into());
        if let Some(outbox) = self.tell_client(client) {
            outbox.send(ToClient::Coordinate { request, answer });
        }
    }

    pub(crate) fn coordination_client_lost(&mut self, _client: u32) {}

    pub(crate) fn coordination_restart(&mut self) {}
}
