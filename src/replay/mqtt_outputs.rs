//! Outputs of a run as MQTT messages.

use std::sync::Arc;

use crate::forecast::{ForecastBatch, OutlookBatch};
use crate::guide::Guidance;
use crate::network::Network;
use crate::publish::Released;
use crate::publish::format::{
    ForecastScoresMessage, GuidanceTopics, IncidentTopics, JunctionTopics, StateTopics,
    TileMessages, TileTable, TopicEntry, corridor_messages, forecast_messages, freeways_to_publish,
    index_messages, outlook_messages, scores_out,
};
use crate::publish::mqtt::Publisher;
use crate::state::congestion::CongestionBatch;
use crate::state::{IncidentChange, PerformanceBatch, RoadsideView, StateBatch};
use crate::units::{Datum, Timestamp};

/// Encodes outputs and hands them to a publisher.
#[derive(Debug)]
pub struct MqttOutputs {
    publisher: Arc<Publisher>,
    network: Arc<Network>,
    tiles: TileTable,
    topics: GuidanceTopics,
    junctions: JunctionTopics,
    incidents: IncidentTopics,
    states: StateTopics,
    /// What the publisher had lost when the last minute went out.
    losses: u64,
}

/// Minutes from one snapshot of a tile to the next, where nothing else is asked for. Chosen: see
/// the bytes of other settings in docs/benchmarks.md.
pub const SNAPSHOT_MINUTES: u32 = 5;

impl MqttOutputs {
    /// Prepares the tiles of a network at `tile_zoom`.
    pub fn new(publisher: Arc<Publisher>, network: Arc<Network>, tile_zoom: u8) -> Self {
        let tiles = TileTable::new(&network, tile_zoom);
        Self {
            publisher,
            network,
            tiles,
            topics: GuidanceTopics::default(),
            junctions: JunctionTopics::default(),
            incidents: IncidentTopics::default(),
            states: StateTopics::new(SNAPSHOT_MINUTES),
            losses: 0,
        }
    }

    /// The same with the positions of guidance in `datum`.
    #[must_use]
    pub fn in_datum(self, datum: Datum) -> Self {
        Self {
            topics: GuidanceTopics::in_datum(datum),
            incidents: IncidentTopics::in_datum(datum),
            ..self
        }
    }

    /// The same with a snapshot of each tile every so many minutes; 1 publishes no deltas.
    #[must_use]
    pub fn with_snapshots_every(self, minutes: u32) -> Self {
        Self {
            states: StateTopics::new(minutes),
            ..self
        }
    }

    /// The publisher behind it.
    pub fn publisher(&self) -> &Arc<Publisher> {
        &self.publisher
    }

    /// Publishes one minute of states and returns what went out, without the messages. Where the
    /// publisher has lost something since the last minute, every tile goes out in full.
    pub fn state(&mut self, batch: &Released<StateBatch>) -> TileMessages {
        let losses = self.publisher.stats().losses();
        if losses != self.losses {
            self.losses = losses;
            self.states.forget();
        }
        let mut told = self.states.messages(batch, &self.tiles);
        for message in told.messages.drain(..) {
            self.publisher.publish(message);
        }
        told
    }

    /// Publishes the index of every region.
    pub fn congestion(&self, batch: &Released<CongestionBatch>) {
        for message in index_messages(batch) {
            self.publisher.publish(message);
        }
    }

    /// The network whose segments are named.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Publishes the travel times of corridors and the jams on freeways.
    pub fn performance(&self, batch: &Released<PerformanceBatch>) {
        let freeways = freeways_to_publish(&self.network, batch);
        for message in corridor_messages(&self.network, batch)
            .into_iter()
            .chain(freeways)
        {
            self.publisher.publish(message);
        }
    }

    /// Publishes a forecast; levels come from the free-flow speeds of `state`.
    pub fn forecast(&self, batch: &Released<ForecastBatch>, state: Option<&StateBatch>) {
        for message in forecast_messages(batch, state, &self.tiles) {
            self.publisher.publish(message);
        }
    }

    /// Publishes an outlook; levels come from the free-flow speeds of `state`.
    pub fn outlook(&self, batch: &Released<OutlookBatch>, state: Option<&StateBatch>) {
        for message in outlook_messages(batch, state, &self.tiles) {
            self.publisher.publish(message);
        }
    }

    /// Publishes how forecasts have done.
    pub fn scores(&self, scores: &ForecastScoresMessage) {
        if let Some(message) = scores_out(scores) {
            self.publisher.publish(message);
        }
    }

    /// Publishes, renews or clears one piece of guidance.
    pub fn guidance(&mut self, guidance: &Released<Guidance>) {
        let message = self.topics.message(&self.network, &self.tiles, guidance);
        if let Some(message) = message {
            self.publisher.publish(message);
        }
    }

    /// Publishes the junctions of `roadside` that are new or changed, and clears those that are gone.
    pub fn junctions(&mut self, roadside: &RoadsideView) {
        for message in self.junctions.messages(roadside, &self.network) {
            self.publisher.publish(message);
        }
    }

    /// Publishes, renews or clears incidents.
    pub fn incidents(&mut self, changes: &[IncidentChange]) {
        for change in changes {
            let message = self.incidents.message(&self.network, &self.tiles, change);
            if let Some(message) = message {
                self.publisher.publish(message);
            }
        }
    }

    /// Under which topics guidance stands, to be remembered over a restart.
    pub fn guidance_topics(&self) -> Vec<TopicEntry> {
        self.topics.entries()
    }

    /// Takes back what [`Self::guidance_topics`] told in an earlier run.
    pub fn recall_topics(&mut self, entries: Vec<TopicEntry>) {
        self.topics.recall(entries);
    }

    /// Clears guidance that has expired by `now`.
    pub fn expire(&mut self, now: Timestamp) {
        for message in self.topics.expire(now) {
            self.publisher.publish(message);
        }
    }
}
