//! What the network reads of one segment at one moment. The same code serves training and inference.
//!
//! Every speed is a share of the segment's free-flow speed, so that a model learnt in one city can
//! speak in another; deviations from the profile are scaled by 4 to lie near one.

use rayon::prelude::*;

use super::{ForecastRequest, LAG_COUNT, RoadGraph, STEP_COUNT};
use crate::network::{Network, RoadClass};
use crate::units::Timestamp;

/// How many numbers describe a segment.
pub const FEATURE_COUNT: usize = TIME_AT + 4 + ATTRIBUTE_COUNT;

const HOP_AT: usize = 2 * LAG_COUNT + 4 + STEP_COUNT + 1;
const HOP_COUNT: usize = 4;
const TIME_AT: usize = HOP_AT + 3 * HOP_COUNT;
const ATTRIBUTE_COUNT: usize = RoadClass::ALL.len() + 6;

/// Deviations from the profile are multiplied by this (their spread is about a quarter of free flow).
const RESIDUAL_SCALE: f32 = 4.0;
/// Deviations beyond this share of free flow are cut.
const RESIDUAL_MAX: f32 = 2.0;
/// Weight of a neighbour that nobody measured lately, against 1 for one measured throughout.
const UNSEEN_WEIGHT: f32 = 0.02;
/// Times before 2000-01-01 are the seconds of a simulation: they say nothing of the time of day.
const REAL_TIME_FROM: Timestamp = Timestamp::from_secs(946_684_800);

/// The fixed facts of a segment that a model reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentAttributes {
    /// Functional class.
    pub class: RoadClass,
    /// Lanes in this direction.
    pub lanes: f32,
    /// Length, m.
    pub length_m: f32,
    /// Speed limit, m/s.
    pub limit_mps: f32,
    /// Whether a traffic signal stands at its end.
    pub is_signalised: bool,
}

/// Everything fixed about a network that features need.
#[derive(Clone, Debug, Default)]
pub struct FeatureContext {
    graph: RoadGraph,
    attributes: Vec<[f32; ATTRIBUTE_COUNT]>,
    /// Local time minus UTC, seconds; `None`: the time of day is not told to the model.
    utc_offset_s: Option<i64>,
}

impl FeatureContext {
    /// The context of a network whose local time is UTC plus `utc_offset_s`; `None` hides the time
    /// of day from the model.
    pub fn from_network(network: &Network, utc_offset_s: Option<i64>) -> Self {
        let attributes = Self::known_attributes(network);
        Self::new(RoadGraph::from_network(network), &attributes, utc_offset_s)
    }

    /// The attributes of every segment of a network.
    pub fn known_attributes(network: &Network) -> Vec<Option<SegmentAttributes>> {
        network
            .segments()
            .iter()
            .map(|segment| {
                Some(SegmentAttributes {
                    class: segment.class(),
                    lanes: f32::from(segment.lanes),
                    length_m: segment.length_m,
                    limit_mps: segment.limit_mps,
                    is_signalised: segment.is_signalised(),
                })
            })
            .collect()
    }

    /// The context of sensors whose attributes may be unknown.
    pub fn new(
        graph: RoadGraph,
        attributes: &[Option<SegmentAttributes>],
        utc_offset_s: Option<i64>,
    ) -> Self {
        Self {
            graph,
            attributes: attributes.iter().map(encode_attributes).collect(),
            utc_offset_s,
        }
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> usize {
        self.attributes.len()
    }

    /// Computes what several segments share, above all the means over neighbours.
    ///
    /// # Panics
    /// When the request is about another number of segments.
    pub fn prepare<'a>(&'a self, request: &'a ForecastRequest) -> PreparedFeatures<'a> {
        assert_eq!(request.segment_count(), self.segment_count());
        let carried: Vec<[f32; 3]> = (0..request.segment_count())
            .into_par_iter()
            .with_min_len(4_096)
            .map(|segment| {
                let shares = &request.history_share[segment * LAG_COUNT..][..3];
                let share = shares.iter().sum::<f32>() / 3.0;
                let weight = share.max(UNSEEN_WEIGHT);
                let mut recent = 0.0;
                for (lag, part) in shares.iter().enumerate() {
                    recent += part * past_residual(request, segment, lag);
                }
                if share > 0.0 {
                    recent /= 3.0 * share;
                }
                [
                    weight * now_residual(request, segment),
                    weight * recent,
                    weight,
                ]
            })
            .collect();
        PreparedFeatures {
            context: self,
            request,
            hops: self.graph.hops(&carried),
            time: self.time_features(request.first_step),
        }
    }

    /// Takes the time of day out of one row of features.
    pub(super) fn hide_time(row: &mut [f32]) {
        row[TIME_AT..TIME_AT + 4].fill(0.0);
    }

    /// Whether the time of day is known, its sine and cosine, whether it is a weekend.
    fn time_features(&self, at: Timestamp) -> [f32; 4] {
        let Some(utc_offset_s) = self.utc_offset_s.filter(|_| at >= REAL_TIME_FROM) else {
            return [0.0; 4];
        };
        let local_s = at.as_secs() + utc_offset_s;
        let angle = local_s.rem_euclid(86_400) as f32 / 86_400.0 * std::f32::consts::TAU;
        // Day 0, 1970-01-01, was a Thursday: Saturday is 2 and Sunday 3 days later.
        let weekday = local_s.div_euclid(86_400).rem_euclid(7);
        let is_weekend = matches!(weekday, 2 | 3);
        [
            1.0,
            angle.sin(),
            angle.cos(),
            f32::from(u8::from(is_weekend)),
        ]
    }
}

fn encode_attributes(attributes: &Option<SegmentAttributes>) -> [f32; ATTRIBUTE_COUNT] {
    let mut coded = [0.0; ATTRIBUTE_COUNT];
    if let Some(known) = attributes {
        coded[known.class as usize] = 1.0;
        let tail = &mut coded[RoadClass::ALL.len()..];
        tail[0] = 1.0;
        tail[1] = (known.lanes / 4.0).clamp(0.0, 2.0);
        tail[2] = ((known.length_m.max(1.0) / 200.0).ln() / 2.0).clamp(-2.0, 2.0);
        tail[3] = (known.limit_mps / 30.0).clamp(0.0, 2.0);
        tail[4] = f32::from(u8::from(known.is_signalised));
    }
    coded
}

fn free_flow_mps(request: &ForecastRequest, segment: usize) -> f32 {
    request.free_flow_mps[segment].max(0.1)
}

fn cut(residual: f32) -> f32 {
    residual.clamp(-RESIDUAL_MAX, RESIDUAL_MAX)
}

fn now_residual(request: &ForecastRequest, segment: usize) -> f32 {
    let residual_mps = request.now_mps[segment] - request.past_profile_mps[segment * LAG_COUNT];
    cut(residual_mps / free_flow_mps(request, segment))
}

fn past_residual(request: &ForecastRequest, segment: usize, lag: usize) -> f32 {
    let at = segment * LAG_COUNT + lag;
    if request.history_share[at] > 0.0 {
        let residual_mps = request.history_mps[at] - request.past_profile_mps[at];
        cut(residual_mps / free_flow_mps(request, segment))
    } else {
        0.0
    }
}

/// One request with its means over neighbours.
#[derive(Clone, Debug)]
pub struct PreparedFeatures<'a> {
    context: &'a FeatureContext,
    request: &'a ForecastRequest,
    hops: [Vec<[f32; 3]>; HOP_COUNT],
    time: [f32; 4],
}

impl PreparedFeatures<'_> {
    /// Hands each of the `FEATURE_COUNT` numbers of `segment` to `put`, with its index, in order.
    pub fn write(&self, segment: usize, mut put: impl FnMut(usize, f32)) {
        let request = self.request;
        let scale = 1.0 / free_flow_mps(request, segment);
        for lag in 0..LAG_COUNT {
            put(lag, RESIDUAL_SCALE * past_residual(request, segment, lag));
            put(
                LAG_COUNT + lag,
                request.history_share[segment * LAG_COUNT + lag],
            );
        }
        let mut at = 2 * LAG_COUNT;
        let mut next = |value: f32| {
            put(at, value);
            at += 1;
        };
        next(RESIDUAL_SCALE * now_residual(request, segment));
        next((RESIDUAL_SCALE * scale * request.sigma_mps[segment]).clamp(0.0, 2.0));
        next(f32::from(request.age_min[segment].min(60)) / 60.0);
        next((scale * request.now_mps[segment]).clamp(0.0, 2.0));
        for &profile_mps in &request.profile_mps[segment * STEP_COUNT..][..STEP_COUNT] {
            next((scale * profile_mps).clamp(0.0, 2.0));
        }
        next((scale * request.past_profile_mps[segment * LAG_COUNT]).clamp(0.0, 2.0));
        for hop in &self.hops {
            let [now, recent, weight] = hop[segment];
            let known = f32::from(u8::from(weight > 1e-6));
            let scale = RESIDUAL_SCALE * known / weight.max(1e-6);
            next(scale * now);
            next(scale * recent);
            next(weight);
        }
        self.time.iter().for_each(|&value| next(value));
        let attributes = &self.context.attributes[segment];
        let (last, others) = (ATTRIBUTE_COUNT - 1, &attributes[..ATTRIBUTE_COUNT - 1]);
        others.iter().for_each(|&value| next(value));
        debug_assert!(
            attributes[last].abs() < f32::EPSILON,
            "the last is filled here"
        );
        next((free_flow_mps(request, segment) / 30.0).clamp(0.0, 2.0));
    }

    /// What the model starts from at one step: the profile and what is left of the deviation after
    /// keeping `decay` a step, as a share of free flow.
    pub fn start(&self, segment: usize, step: usize, decay_left: f32) -> f32 {
        let profile_mps = self.request.profile_mps[segment * STEP_COUNT + step];
        let profile = profile_mps / free_flow_mps(self.request, segment);
        (profile + decay_left * now_residual(self.request, segment)).clamp(0.0, 3.0)
    }
}
