//! The outbox: messages from the moment they are accepted until the broker has them.
//!
//! Pure bookkeeping, no wires: which message goes next, which are on their way, what becomes of
//! them when the connection breaks, and who has to go when it is full. A QoS 1 message stays until
//! its PUBACK, over any number of connections.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::OutMessage;

/// Bounds of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxSettings {
    /// Messages held, on their way included.
    pub messages: usize,
    /// Bytes of topics and payloads held.
    pub bytes: usize,
    /// Messages that may be on their way at a time.
    pub window: usize,
}

impl Default for OutboxSettings {
    /// Chosen: 65 536 messages and 256 MiB hold an hour of a city's minutes; 256 on their way.
    fn default() -> Self {
        Self {
            messages: 65_536,
            bytes: 256 << 20,
            window: 256,
        }
    }
}

/// What happened to other messages when one was put in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Displaced {
    /// Retained messages replaced by a newer one of the same topic.
    pub coalesced: u64,
    /// Messages dropped for want of room.
    pub dropped: u64,
}

/// The outbox. Invariant: a message is waiting, handed over (the transport has it), or in flight
/// (it went out and awaits its PUBACK), and in exactly one of these.
#[derive(Debug)]
pub struct Outbox {
    settings: OutboxSettings,
    messages: BTreeMap<u64, OutMessage>,
    waiting_events: BTreeSet<u64>,
    waiting_retained: BTreeSet<u64>,
    /// The newest waiting retained message of each topic.
    newest_retained: HashMap<String, u64>,
    handed: VecDeque<u64>,
    in_flight: BTreeMap<u16, u64>,
    bytes: usize,
    next_sequence: u64,
    online: bool,
}

impl Outbox {
    /// An empty outbox without a connection.
    pub fn new(settings: OutboxSettings) -> Self {
        Self {
            settings,
            messages: BTreeMap::new(),
            waiting_events: BTreeSet::new(),
            waiting_retained: BTreeSet::new(),
            newest_retained: HashMap::new(),
            handed: VecDeque::new(),
            in_flight: BTreeMap::new(),
            bytes: 0,
            next_sequence: 0,
            online: false,
        }
    }

    /// Messages held.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes of topics and payloads held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages the transport has and those that await their PUBACK.
    pub fn on_their_way(&self) -> usize {
        self.handed.len() + self.in_flight.len()
    }

    /// Puts a message in. Without a connection, or without room, a retained message replaces the
    /// waiting one of its topic: only the newest state counts. Otherwise the oldest event goes
    /// first when room is wanted, then the oldest state, then the message itself.
    pub fn insert(&mut self, message: OutMessage) -> Displaced {
        let mut displaced = Displaced::default();
        let size = size(&message);
        let full = |outbox: &Self| {
            outbox.messages.len() >= outbox.settings.messages
                || outbox.bytes + size > outbox.settings.bytes
        };
        if message.retain
            && (!self.online || full(self))
            && let Some(older) = self.newest_retained.get(&message.topic).copied()
        {
            self.forget(older);
            displaced.coalesced += 1;
        }
        while full(self) {
            let events = self.waiting_events.first();
            let Some(oldest) = events.or_else(|| self.waiting_retained.first()).copied() else {
                displaced.dropped += 1;
                return displaced;
            };
            self.forget(oldest);
            displaced.dropped += 1;
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.bytes += size;
        self.messages.insert(sequence, message);
        self.wait(sequence);
        displaced
    }

    /// The message to hand to the transport next; `None` when none waits, none may go, or there is
    /// no connection.
    pub fn next(&self) -> Option<&OutMessage> {
        if !self.online || self.on_their_way() >= self.settings.window {
            return None;
        }
        self.messages.get(&self.next_waiting()?)
    }

    /// The transport took what [`Self::next`] showed.
    pub fn hand_over(&mut self) {
        if let Some(sequence) = self.next_waiting() {
            self.stop_waiting(sequence);
            self.handed.push_back(sequence);
        }
    }

    /// What [`Self::next`] showed cannot be sent on this connection, or on any.
    pub fn discard(&mut self) {
        if let Some(sequence) = self.next_waiting() {
            self.forget(sequence);
        }
    }

    /// The oldest message handed over went out with `packet_id` (0: QoS 0, it is done).
    pub fn sent(&mut self, packet_id: u16) {
        let Some(sequence) = self.handed.pop_front() else {
            return;
        };
        if packet_id == 0 {
            self.forget(sequence);
        } else if let Some(unanswered) = self.in_flight.insert(packet_id, sequence) {
            // The transport gave the id away again: nothing will answer the older message.
            self.wait(unanswered);
        }
    }

    /// The broker answered `packet_id`; returns whether a message waited for that.
    pub fn acknowledged(&mut self, packet_id: u16) -> bool {
        let sequence = self.in_flight.remove(&packet_id);
        if let Some(sequence) = sequence {
            self.forget(sequence);
        }
        sequence.is_some()
    }

    /// There is a connection.
    pub fn connected(&mut self) {
        self.online = true;
    }

    /// The connection is gone: what was on its way waits again, in its old order.
    pub fn disconnected(&mut self) {
        self.online = false;
        let in_flight = std::mem::take(&mut self.in_flight);
        let handed = std::mem::take(&mut self.handed);
        for sequence in in_flight.into_values().chain(handed) {
            self.wait(sequence);
        }
    }

    fn next_waiting(&self) -> Option<u64> {
        match (self.waiting_events.first(), self.waiting_retained.first()) {
            (Some(event), Some(state)) => Some(*event.min(state)),
            (one, other) => one.or(other).copied(),
        }
    }

    fn wait(&mut self, sequence: u64) {
        let Some(message) = self.messages.get(&sequence) else {
            return;
        };
        if message.retain {
            self.waiting_retained.insert(sequence);
            let newest = self.newest_retained.entry(message.topic.clone());
            let newest = newest.or_insert(sequence);
            *newest = sequence.max(*newest);
        } else {
            self.waiting_events.insert(sequence);
        }
    }

    fn stop_waiting(&mut self, sequence: u64) {
        self.waiting_events.remove(&sequence);
        if self.waiting_retained.remove(&sequence)
            && let Some(message) = self.messages.get(&sequence)
            && self.newest_retained.get(&message.topic) == Some(&sequence)
        {
            self.newest_retained.remove(&message.topic);
        }
    }

    fn forget(&mut self, sequence: u64) {
        self.stop_waiting(sequence);
        if let Some(message) = self.messages.remove(&sequence) {
            self.bytes -= size(&message);
        }
    }
}

fn size(message: &OutMessage) -> usize {
    message.topic.len() + message.payload.len()
}

#[cfg(test)]
mod tests;
