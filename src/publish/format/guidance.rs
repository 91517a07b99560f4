//! Guidance messages: one retained message a piece of advice, cleared when it ends.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{TOPIC_ROOT, TileTable, cleared, guidance_id};
use crate::guide::{Diversion, Evidence, Guidance, GuidanceKind, JamWarning};
use crate::network::Network;
use crate::publish::{OutMessage, Released};
use crate::units::{Datum, Position, SegmentId, Timestamp};

/// One piece of advice.
///
/// Topic `roadcast/v1/guidance/{quadkey digits as levels}/{jam|diversion}/{id}`, retained, QoS 1;
/// an empty payload ends it. Consumers also forget it at `valid_until_ms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuidanceMessage {
    /// 16 hexadecimal digits, stable while the same jam or diversion goes on.
    pub id: String,
    /// Counts up with every change under the same id, from 1.
    pub revision: u32,
    /// `jam` or `diversion`; the field of that name holds the content.
    pub kind: KindLabel,
    /// Network version the segment numbers belong to.
    pub network: String,
    /// From when it holds, event time, milliseconds.
    pub valid_from_ms: i64,
    /// When it expires unless renewed, event time, milliseconds.
    pub valid_until_ms: i64,
    /// How far ahead it looks, seconds.
    pub horizon_s: u32,
    /// Probability that the advice is right, 0 to 1.
    pub confidence: f32,
    /// Why, one sentence of English.
    pub reason: String,
    /// Why, one sentence of Chinese.
    pub reason_zh: String,
    /// What it rests on.
    pub because: Vec<EvidenceEntry>,
    /// The id this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// Content of a jam warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jam: Option<JamEntry>,
    /// Content of a diversion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diversion: Option<DiversionEntry>,
}

impl GuidanceMessage {
    /// Brings every position from WGS-84 to `datum`.
    fn move_to(&mut self, datum: Datum) {
        if datum.is_wgs84() {
            return;
        }
        if let Some(jam) = &mut self.jam {
            jam.head.move_to(datum);
            jam.tail.move_to(datum);
        }
        if let Some(diversion) = &mut self.diversion {
            diversion.decision.move_to(datum);
        }
    }
}

/// What kind of advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindLabel {
    /// A jam to know of.
    Jam,
    /// A way round it.
    Diversion,
}

impl KindLabel {
    /// The label used in topics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Jam => "jam",
            Self::Diversion => "diversion",
        }
    }
}

/// A place on a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceEntry {
    /// Segment number within the network version.
    pub segment: u32,
    /// What the source of the network calls the road.
    pub source_id: String,
    /// Metres from the start of the segment.
    pub offset_m: f32,
    /// Longitude, degrees, WGS-84 unless `publish.datum` says otherwise.
    pub lon_deg: f64,
    /// Latitude, degrees, WGS-84 unless `publish.datum` says otherwise.
    pub lat_deg: f64,
    /// The road's name in its own language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The road's English name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_en: Option<String>,
}

/// A jam: a connected run of congested segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JamEntry {
    /// Downstream end, where the cause lies.
    pub head: PlaceEntry,
    /// Upstream end, where drivers run into it.
    pub tail: PlaceEntry,
    /// Segment numbers from head to tail.
    pub segments: Vec<u32>,
    /// Worst congestion level among its segments, 1 to 5.
    #[schemars(range(min = 1, max = 5))]
    pub level: u8,
    /// Length in metres.
    pub length_m: f32,
    /// Mean speed inside, m/s.
    pub speed_mps: f32,
    /// Extra travel time against free flow, seconds.
    pub delay_s: f32,
    /// When it began as first seen, event time, milliseconds.
    pub onset_ms: i64,
    /// When it is forecast to end, event time, milliseconds; absent when later than the forecast
    /// reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast_end_ms: Option<i64>,
}

/// A recommended way round a jam.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiversionEntry {
    /// The id of the jam it avoids.
    pub jam_id: String,
    /// End of the last segment both ways share: where drivers decide.
    pub decision: PlaceEntry,
    /// Segment numbers of the usual way, decision segment first.
    pub main_segments: Vec<u32>,
    /// Segment numbers of the recommended way between the same two segments.
    pub alternative_segments: Vec<u32>,
    /// Names of the roads of the recommended way, in order.
    pub via: Vec<String>,
    /// English names of the roads of the recommended way, in order.
    pub via_en: Vec<String>,
    /// Forecast travel time on the usual way, seconds.
    pub main_s: f32,
    /// Forecast travel time on the recommended way, seconds.
    pub alternative_s: f32,
    /// Share of the drivers that should take it, 0 to 1.
    pub share: f32,
}

/// A piece of evidence: what was seen or forecast, where and when. Exactly one field is present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EvidenceEntry {
    /// A segment's state in a closed minute.
    State {
        /// Segment number.
        segment: u32,
        /// Start of the minute, event time, milliseconds.
        at_ms: i64,
        /// Its speed, m/s.
        speed_mps: f32,
        /// Its free-flow speed, m/s.
        free_flow_mps: f32,
        /// Distinct road users seen; absent where they are fewer than `min_subjects`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sample_count: Option<u32>,
    },
    /// Road users in a jam and near its tail at the end of a minute.
    Vehicles {
        /// When, event time, milliseconds.
        at_ms: i64,
        /// Distinct road users on the segments of the jam, those left out who are near an end of
        /// their trip; absent where they are fewer than `min_subjects`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_jam: Option<u32>,
        /// Distinct road users within `radius_m` of its tail, on any road; absent where they are
        /// fewer than `min_subjects`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        near_tail: Option<u32>,
        /// Metres around the tail.
        radius_m: f32,
    },
    /// A segment's forecast.
    Forecast {
        /// Segment number.
        segment: u32,
        /// Start of the forecast interval, event time, milliseconds.
        at_ms: i64,
        /// Median speed, m/s.
        p50_mps: f32,
        /// The model that said so.
        model: String,
    },
    /// Travel times of the usual way and its alternative at the moment of advice.
    TravelTimes {
        /// Forecast travel time on the usual way, seconds.
        main_s: f32,
        /// Forecast travel time on the alternative with the diverted flow on it, seconds.
        alternative_s: f32,
        /// Probability that the saving is real, 0 to 1.
        probability: f32,
    },
}

/// Under which topic a piece of advice stands, as it is remembered over a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicEntry {
    /// The advice.
    pub id: String,
    /// Its topic.
    pub topic: String,
    /// Until when it holds, event time, milliseconds.
    pub valid_until_ms: i64,
}

/// Remembers under which topic each piece of advice stands, so that it is cleared there even when
/// the jam has moved on to another tile.
#[derive(Debug, Default)]
pub struct GuidanceTopics {
    /// In which datum positions go out; topics keep the WGS-84 tile.
    datum: Datum,
    live: BTreeMap<u64, (String, Timestamp)>,
}

impl GuidanceTopics {
    /// Topics without advice, for consumers whose maps are in `datum`.
    pub fn in_datum(datum: Datum) -> Self {
        Self {
            datum,
            ..Self::default()
        }
    }

    /// The message for a new, changed or withdrawn piece of advice; `None` when something is
    /// withdrawn that never was published, or that is of another network version.
    pub fn message(
        &mut self,
        network: &Network,
        tiles: &TileTable,
        guidance: &Released<Guidance>,
    ) -> Option<OutMessage> {
        if guidance.withdrawn {
            let (topic, _) = self.live.remove(&guidance.id)?;
            return Some(cleared(topic));
        }
        if guidance.network != tiles.network() || network.version() != tiles.network() {
            return None;
        }
        let mut message = guidance_entry(network, guidance);
        message.move_to(self.datum);
        let place = match &guidance.kind {
            GuidanceKind::Jam(jam) => jam.head.0,
            GuidanceKind::Diversion(diversion) => diversion.decision,
        };
        let entry = self.live.entry(guidance.id).or_insert_with(|| {
            let topic = format!(
                "{TOPIC_ROOT}/guidance/{}/{}/{}",
                tiles.tile_of(place).path,
                message.kind.label(),
                message.id
            );
            (topic, guidance.valid_until)
        });
        entry.1 = guidance.valid_until;
        Some(OutMessage {
            topic: entry.0.clone(),
            payload: serde_json::to_vec(&message)
                .expect("strings and finite numbers are always valid JSON")
                .into(),
            qos: 1,
            retain: true,
        })
    }

    /// Where advice stands now.
    pub fn entries(&self) -> Vec<TopicEntry> {
        let entry = |(id, (topic, valid_until)): (&u64, &(String, Timestamp))| TopicEntry {
            id: guidance_id(*id),
            topic: topic.clone(),
            valid_until_ms: valid_until.as_millis(),
        };
        self.live.iter().map(entry).collect()
    }

    /// Takes back what [`Self::entries`] told in an earlier run; what is no id is left out.
    pub fn recall(&mut self, entries: Vec<TopicEntry>) {
        for entry in entries {
            if let Ok(id) = u64::from_str_radix(&entry.id, 16) {
                let valid_until = Timestamp::from_millis(entry.valid_until_ms);
                self.live.insert(id, (entry.topic, valid_until));
            }
        }
    }

    /// The messages that clear what expired at or before `now` (event time) without being renewed.
    pub fn expire(&mut self, now: Timestamp) -> Vec<OutMessage> {
        let mut expired = Vec::new();
        self.live.retain(|_, (topic, valid_until)| {
            let lives = *valid_until > now;
            if !lives {
                expired.push(cleared(std::mem::take(topic)));
            }
            lives
        });
        expired
    }
}

/// A piece of advice in its documented form.
pub(crate) fn guidance_entry(network: &Network, guidance: &Guidance) -> GuidanceMessage {
    let (kind, jam, diversion) = match &guidance.kind {
        GuidanceKind::Jam(jam) => (KindLabel::Jam, Some(jam_entry(network, jam)), None),
        GuidanceKind::Diversion(diversion) => (
            KindLabel::Diversion,
            None,
            Some(diversion_entry(network, diversion)),
        ),
    };
    GuidanceMessage {
        id: guidance_id(guidance.id),
        revision: guidance.revision,
        kind,
        network: guidance.network.to_string(),
        valid_from_ms: guidance.valid_from.as_millis(),
        valid_until_ms: guidance.valid_until.as_millis(),
        horizon_s: guidance.horizon_s,
        confidence: rounded(guidance.confidence),
        reason: guidance.reason.clone(),
        reason_zh: guidance.reason_zh.clone(),
        because: guidance.because.iter().map(evidence_entry).collect(),
        supersedes: guidance.supersedes.map(guidance_id),
        jam,
        diversion,
    }
}

fn jam_entry(network: &Network, jam: &JamWarning) -> JamEntry {
    JamEntry {
        head: place(network, jam.head.0, jam.head.1),
        tail: place(network, jam.tail.0, jam.tail.1),
        segments: numbers(&jam.segments),
        level: jam.level as u8,
        length_m: rounded(jam.length_m),
        speed_mps: rounded(jam.speed_mps),
        delay_s: rounded(jam.delay_s),
        onset_ms: jam.onset.as_millis(),
        forecast_end_ms: jam.forecast_end.map(Timestamp::as_millis),
    }
}

fn diversion_entry(network: &Network, diversion: &Diversion) -> DiversionEntry {
    let decision_m = network.segment(diversion.decision).length_m;
    let names = |name: &dyn Fn(SegmentId) -> Option<String>| {
        let mut names: Vec<String> = diversion
            .alternative
            .iter()
            .filter_map(|&id| name(id))
            .collect();
        names.dedup();
        names
    };
    DiversionEntry {
        jam_id: guidance_id(diversion.jam),
        decision: place(network, diversion.decision, decision_m),
        main_segments: numbers(&diversion.main),
        alternative_segments: numbers(&diversion.alternative),
        via: names(&|id| network.name(id).map(str::to_owned)),
        via_en: names(&|id| network.name_en(id).map(str::to_owned)),
        main_s: rounded(diversion.main_s),
        alternative_s: rounded(diversion.alternative_s),
        share: rounded(diversion.share),
    }
}

fn evidence_entry(evidence: &Evidence) -> EvidenceEntry {
    let told = |count: u32| (count > 0).then_some(count);
    match evidence {
        Evidence::State {
            segment,
            at,
            speed_mps,
            free_flow_mps,
            sample_count,
        } => EvidenceEntry::State {
            segment: segment.0,
            at_ms: at.as_millis(),
            speed_mps: rounded(*speed_mps),
            free_flow_mps: rounded(*free_flow_mps),
            sample_count: told(*sample_count),
        },
        Evidence::Vehicles {
            at,
            in_jam,
            near_tail,
            radius_m,
        } => EvidenceEntry::Vehicles {
            at_ms: at.as_millis(),
            in_jam: told(*in_jam),
            near_tail: told(*near_tail),
            radius_m: rounded(*radius_m),
        },
        Evidence::Forecast {
            segment,
            at,
            p50_mps,
            model,
        } => EvidenceEntry::Forecast {
            segment: segment.0,
            at_ms: at.as_millis(),
            p50_mps: rounded(*p50_mps),
            model: model.to_string(),
        },
        Evidence::TravelTimes {
            main_s,
            alternative_s,
            probability,
        } => EvidenceEntry::TravelTimes {
            main_s: rounded(*main_s),
            alternative_s: rounded(*alternative_s),
            probability: rounded(*probability),
        },
    }
}

impl PlaceEntry {
    pub(super) fn move_to(&mut self, datum: Datum) {
        let there = datum.from_wgs84(Position::new(self.lon_deg, self.lat_deg));
        (self.lon_deg, self.lat_deg) = (micro(there.lon_deg), micro(there.lat_deg));
    }
}

/// Degrees with 6 decimals.
fn micro(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

pub(super) fn place(network: &Network, segment: SegmentId, offset_m: f32) -> PlaceEntry {
    let position = network.position_at(segment, offset_m);
    PlaceEntry {
        segment: segment.0,
        source_id: network.source_id(segment).to_owned(),
        offset_m: rounded(offset_m),
        lon_deg: micro(position.lon_deg),
        lat_deg: micro(position.lat_deg),
        name: network.name(segment).map(str::to_owned),
        name_en: network.name_en(segment).map(str::to_owned),
    }
}

fn numbers(segments: &[SegmentId]) -> Vec<u32> {
    segments.iter().map(|segment| segment.0).collect()
}

/// Two decimals, as the fast writers do.
fn rounded(value: f32) -> f32 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::Zones;
    use crate::publish::Release;
    use crate::publish::format::{Privacy, fixture};

    fn open() -> Release {
        Release::new(Privacy::default(), Zones::default())
    }

    fn parse(message: &OutMessage) -> GuidanceMessage {
        serde_json::from_slice(&message.payload).expect("the documented type")
    }

    #[test]
    fn a_consumer_with_shifted_maps_gets_shifted_positions_under_the_same_topic() {
        let network = fixture::network();
        let tiles = TileTable::new(&network, 14);
        let jam = fixture::jam(&network);
        let tell = |datum| {
            let mut topics = GuidanceTopics::in_datum(datum);
            let message = topics.message(&network, &tiles, &open().guidance(&jam));
            message.expect("a new jam is published")
        };
        let (plain, shifted) = (tell(Datum::Wgs84), tell(Datum::Gcj02));
        assert_eq!(plain.topic, shifted.topic);
        let head = |message| {
            let head = parse(message).jam.expect("a jam").head;
            Position::new(head.lon_deg, head.lat_deg)
        };
        let expected = Datum::Gcj02.from_wgs84(head(&plain));
        assert!(head(&shifted).distance_to(expected).value() < 0.2);
    }

    #[test]
    fn a_jam_stays_under_its_topic_and_is_cleared_there() {
        let network = fixture::network();
        let tiles = TileTable::new(&network, 14);
        let mut topics = GuidanceTopics::default();
        let mut jam = fixture::jam(&network);
        let first = topics
            .message(&network, &tiles, &open().guidance(&jam))
            .expect("a new jam is published");
        assert!(first.retain && first.topic.ends_with("/jam/0000000000000007"));
        assert_eq!(parse(&first).jam.expect("a jam").level, 5);

        let GuidanceKind::Jam(content) = &mut jam.kind else {
            unreachable!("the fixture is a jam")
        };
        let far = SegmentId(network.segment_count() as u32 - 1);
        assert_ne!(tiles.tile_of(far).path, tiles.tile_of(content.head.0).path);
        content.head = (far, 0.0);
        jam.revision = 2;
        let moved = topics
            .message(&network, &tiles, &open().guidance(&jam))
            .expect("a changed jam is published");
        assert_eq!(moved.topic, first.topic);

        jam.withdrawn = true;
        let end = topics
            .message(&network, &tiles, &open().guidance(&jam))
            .expect("the end is published");
        assert_eq!((end.topic, end.payload.len()), (first.topic, 0));
        assert_eq!(
            topics.message(&network, &tiles, &open().guidance(&jam)),
            None
        );
    }

    #[test]
    fn expires_at_its_time_and_not_before() {
        let network = fixture::network();
        let tiles = TileTable::new(&network, 14);
        let mut topics = GuidanceTopics::default();
        let diversion = fixture::diversion(&network);
        let message = topics
            .message(&network, &tiles, &open().guidance(&diversion))
            .expect("a new diversion is published");
        let content = parse(&message).diversion.expect("a diversion");
        assert_eq!(content.jam_id, guidance_id(7));
        assert_eq!(content.via_en, ["South Street", "East Street"]);
        assert!(
            topics
                .expire(diversion.valid_until.plus_millis(-1))
                .is_empty()
        );
        let gone = topics.expire(diversion.valid_until);
        assert_eq!(gone.len(), 1);
        assert_eq!((&gone[0].topic, gone[0].payload.len()), (&message.topic, 0));
        assert!(topics.expire(Timestamp::MAX).is_empty());
    }
}
