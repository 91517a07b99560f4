//! What the network reads of one segment at one moment. The same code serves training and inference.
//!
//! Every speed is a share of the segment's free-flow speed, so that a model learnt in one city can
//! speak in another; deviations from the profile are scaled by 4 to lie near one.

use std::sync::Arc;

use rayon::prelude::*;

use super::companion::{CompanionRegression, Moment};
use super::disturbances::{ALONG_THE_ROAD, DISTURBANCE_COUNT, NearIncidents};
use super::low_rank::{FACTOR_COUNT, SegmentTraits};
use super::queues::{QUEUE_COUNT, Queues};
use super::request::cut;
use super::{ForecastRequest, LAG_COUNT, LEVEL_COUNT, Past, RoadGraph, STEP_COUNT};
use crate::network::{Network, RoadClass};
use crate::state::Calendar;
use crate::units::{SegmentId, Timestamp};

/// How many of them [`PreparedFeatures::write`] begins with: the segment by itself, now.
const FIRST_FEATURE_COUNT: usize = TIME_AT + 4 + ATTRIBUTE_COUNT;
/// How many numbers describe a segment.
pub const FEATURE_COUNT: usize = FIRST_FEATURE_COUNT + LATER_COUNT;

/// What follows: levels of the segment and its neighbours over the hour,
/// the common factors, the slow levels, traits, scale, what the segment's own past foretells, queues
/// ahead, incidents and weather, and harmonics of the day.
const LATER_COUNT: usize = 2
    + HOP_COUNT
    + 4
    + 2 * LEVEL_COUNT
    + 1
    + FACTOR_COUNT
    + 1
    + 1
    + STEP_COUNT
    + QUEUE_COUNT
    + DISTURBANCE_COUNT
    + HARMONIC_COUNT;
const QUEUES_AT: usize = FEATURE_COUNT - HARMONIC_COUNT - DISTURBANCE_COUNT - QUEUE_COUNT;
const HARMONIC_COUNT: usize = 4;

const HOP_AT: usize = 2 * LAG_COUNT + 4 + STEP_COUNT + 1;
const HOP_COUNT: usize = 4;
const TIME_AT: usize = HOP_AT + 3 * HOP_COUNT;
const ATTRIBUTE_COUNT: usize = RoadClass::ALL.len() + 6;

/// Deviations from the profile are multiplied by this (their spread is about a quarter of free flow).
const RESIDUAL_SCALE: f32 = 4.0;
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
    /// Lengths, m; empty where not all are known, and then nothing is told of queues. Where they are
    /// known, the graph must join each segment to those that follow it and to no others.
    lengths_m: Vec<f32>,
    traits: Vec<SegmentTraits>,
    /// What foretells the next hour from the segments' own past, where there is one.
    regression: Option<Arc<CompanionRegression>>,
    /// Local time and days; `None`: the time of day is not told to the model.
    calendar: Option<Calendar>,
}

impl FeatureContext {
    /// The context of a network with its local time; `None` hides the time of day from the model.
    pub fn from_network(network: &Network, calendar: Option<Calendar>) -> Self {
        let attributes = Self::known_attributes(network);
        Self::new(RoadGraph::from_network(network), &attributes, calendar)
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
        calendar: Option<Calendar>,
    ) -> Self {
        Self {
            graph,
            traits: vec![SegmentTraits::UNKNOWN; attributes.len()],
            attributes: attributes.iter().map(encode_attributes).collect(),
            lengths_m: lengths_of(attributes).unwrap_or_default(),
            regression: None,
            calendar,
        }
    }

    /// The same with what the segments' past says about them.
    ///
    /// # Panics
    /// When there is not one entry a segment.
    #[must_use]
    pub fn with_traits(mut self, traits: Vec<SegmentTraits>) -> Self {
        assert_eq!(traits.len(), self.attributes.len());
        self.traits = traits;
        self
    }

    /// The same with what training learnt of the segments' past; `column_of[segment]` is the column
    /// that tells of it, as [`Past::columns_of`] gives them.
    ///
    /// # Panics
    /// When there is not one entry a segment.
    #[must_use]
    pub fn with_past(self, past: &Past, column_of: &[Option<u32>]) -> Self {
        let (traits, regression) = past.told_by(column_of);
        self.with_traits(traits).with_regression(regression)
    }

    /// The same with regressions that the segments' past taught.
    #[must_use]
    pub(super) fn with_regression(mut self, regression: Arc<CompanionRegression>) -> Self {
        self.regression = Some(regression);
        self
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
        let queues = (!self.lengths_m.is_empty())
            .then(|| Queues::new(&self.graph, &self.lengths_m, request));
        let moment = Moment::new(request, &self.traits);
        let levels = moment.levels.iter();
        let of_long: Vec<[f32; 2]> = levels
            .map(|&[_, _, level, weight]| [weight * level, weight])
            .collect();
        let foretold = match &self.regression {
            Some(regression) => regression.foretell(request, &self.traits, &moment),
            None => Vec::new(),
        };
        let carried: Vec<[f32; 3]> = (0..request.segment_count())
            .into_par_iter()
            .with_min_len(4_096)
            .map(|segment| {
                let shares = &request.history_share[segment * LAG_COUNT..][..3];
                let share = shares.iter().sum::<f32>() / 3.0;
                let weight = share.max(UNSEEN_WEIGHT);
                let mut recent = 0.0;
                for (lag, part) in shares.iter().enumerate() {
                    recent += part * request.past_residual(segment, lag);
                }
                if share > 0.0 {
                    recent /= 3.0 * share;
                }
                [
                    weight * request.now_residual(segment),
                    weight * recent,
                    weight,
                ]
            })
            .collect();
        PreparedFeatures {
            context: self,
            request,
            hops: self.graph.hops(&carried),
            long_hops: self.graph.hops(&of_long),
            moment,
            queues,
            incidents: NearIncidents::new(
                &self.graph,
                &self.lengths_m,
                &request.disturbances.incidents,
            ),
            foretold,
            time: self.time_features(request.first_step),
        }
    }

    /// Takes the time of day out of one row of features.
    pub(super) fn hide_time(row: &mut [f32]) {
        row[TIME_AT..TIME_AT + 4].fill(0.0);
        row[FEATURE_COUNT - HARMONIC_COUNT..].fill(0.0);
    }

    /// Takes out of one row of features what is known of the road, and with the lengths the queues and
    /// the way to incidents, as for sensors of which nothing but speeds is known.
    pub(super) fn hide_road(row: &mut [f32]) {
        // The last attribute is the speed of free flow, which is always known.
        row[TIME_AT + 4..FIRST_FEATURE_COUNT - 1].fill(0.0);
        row[QUEUES_AT..QUEUES_AT + QUEUE_COUNT + ALONG_THE_ROAD].fill(0.0);
    }

    /// Whether the time of day is known, its sine and cosine, whether it is a day off.
    fn time_features(&self, at: Timestamp) -> [f32; 4] {
        let calendar = self.calendar.as_ref().filter(|_| at >= REAL_TIME_FROM);
        let Some(calendar) = calendar else {
            return [0.0; 4];
        };
        let local_s = at.as_secs() + calendar.utc_offset_s;
        let angle = local_s.rem_euclid(86_400) as f32 / 86_400.0 * std::f32::consts::TAU;
        let is_day_off = !calendar.day_type(at).is_workday();
        [
            1.0,
            angle.sin(),
            angle.cos(),
            f32::from(u8::from(is_day_off)),
        ]
    }
}

/// The length of every segment, if all are known.
fn lengths_of(attributes: &[Option<SegmentAttributes>]) -> Option<Vec<f32>> {
    attributes
        .iter()
        .map(|known| known.as_ref().map(|known| known.length_m))
        .collect()
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

/// One request with its means over neighbours.
#[derive(Clone, Debug)]
pub struct PreparedFeatures<'a> {
    context: &'a FeatureContext,
    request: &'a ForecastRequest,
    hops: [Vec<[f32; 3]>; HOP_COUNT],
    long_hops: [Vec<[f32; 2]>; HOP_COUNT],
    /// Levels and common factors.
    moment: Moment,
    /// The queues, where lengths are known.
    queues: Option<Queues>,
    incidents: NearIncidents,
    /// Deviations of the next hour in shares of free flow; empty where no past foretells any.
    foretold: Vec<Option<[f32; STEP_COUNT]>>,
    time: [f32; 4],
}

impl PreparedFeatures<'_> {
    /// The segments that are told of an incident on them, ahead or just behind, in order.
    pub(super) fn near_incidents(&self) -> impl Iterator<Item = usize> + '_ {
        self.incidents.segments()
    }

    /// Hands each of the [`FEATURE_COUNT`] numbers of `segment` to `put`, with its index, in order.
    pub fn write(&self, segment: usize, mut put: impl FnMut(usize, f32)) {
        self.write_first(segment, &mut put);
        self.write_later(segment, &mut put);
    }

    fn foretold(&self, segment: usize) -> Option<&[f32; STEP_COUNT]> {
        self.foretold.get(segment)?.as_ref()
    }

    /// What the hour, the network and the segment's past say.
    fn write_later(&self, segment: usize, put: &mut impl FnMut(usize, f32)) {
        let (request, moment) = (self.request, &self.moment);
        let scale = 1.0 / request.unhindered_mps(segment);
        let mut at = FIRST_FEATURE_COUNT;
        let mut next = |value: f32| {
            put(at, value);
            at += 1;
        };
        let [short, _, long, _] = moment.levels[segment];
        next(RESIDUAL_SCALE * short);
        next(RESIDUAL_SCALE * long);
        for hop in &self.long_hops {
            let [sum, weight] = hop[segment];
            next(RESIDUAL_SCALE * sum / (weight + 0.05));
        }
        let traits = &self.context.traits[segment];
        for (factors, mean) in &moment.common {
            let shared: f32 = factors
                .iter()
                .zip(traits.loadings)
                .map(|(score, loading)| score * loading)
                .sum();
            next(RESIDUAL_SCALE * traits.scatter * shared);
            next(mean.clamp(-4.0, 4.0));
        }
        for index in 0..LEVEL_COUNT {
            let at = segment * LEVEL_COUNT + index;
            next(RESIDUAL_SCALE * cut(scale * request.level_mps[at]));
            next(request.level_share[at]);
        }
        next(RESIDUAL_SCALE * traits.scatter);
        let (factors, _) = moment.common[1];
        for (score, loading) in factors.iter().zip(traits.loadings) {
            next(RESIDUAL_SCALE * traits.scatter * score * loading);
        }
        next(request.unhindered_mps(segment).ln_1p() / 4.0);
        let foretold = self.foretold(segment);
        next(f32::from(u8::from(foretold.is_some())));
        for step in 0..STEP_COUNT {
            next(foretold.map_or(0.0, |foretold| RESIDUAL_SCALE * cut(foretold[step])));
        }
        let queues = self.queues.as_ref();
        let ahead = queues.map_or([0.0; QUEUE_COUNT], |queues| queues.features(segment));
        ahead.into_iter().for_each(&mut next);
        let around = self.incidents.features(segment);
        around.into_iter().for_each(&mut next);
        let bad_weather = request.disturbances.bad_weather.get(segment);
        next(f32::from(u8::from(bad_weather == Some(&true))));
        let [is_known, sine, cosine, _] = self.time;
        next(is_known * 2.0 * sine * cosine);
        next(is_known * (cosine * cosine - sine * sine));
        next(is_known * (3.0 * sine - 4.0 * sine.powi(3)));
        next(is_known * (4.0 * cosine.powi(3) - 3.0 * cosine));
    }

    /// What the segment shows now, its profile, its neighbours, the time and the road.
    fn write_first(&self, segment: usize, put: &mut impl FnMut(usize, f32)) {
        let request = self.request;
        let scale = 1.0 / request.unhindered_mps(segment);
        for lag in 0..LAG_COUNT {
            put(lag, RESIDUAL_SCALE * request.past_residual(segment, lag));
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
        next(RESIDUAL_SCALE * request.now_residual(segment));
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
        next((request.unhindered_mps(segment) / 30.0).clamp(0.0, 2.0));
    }

    /// What the model starts from at each step, as shares of free flow: the profile and the deviation
    /// that the segment's own past foretells or, where it foretells none, what profile and fading
    /// deviations say.
    pub fn starts(&self, segment: usize) -> [f32; STEP_COUNT] {
        let scale = 1.0 / self.request.unhindered_mps(segment);
        let profile_mps = &self.request.profile_mps[segment * STEP_COUNT..][..STEP_COUNT];
        let now = self.request.now_residual(segment);
        let ratio = self.request.ratio(SegmentId(segment as u32));
        let [quarter, ..] = self.moment.levels[segment];
        let deviation = |step: usize| match self.foretold(segment) {
            Some(foretold) => foretold[step],
            None => self.request.calibration.left(step, ratio, [now, quarter]),
        };
        std::array::from_fn(|step| (scale * profile_mps[step] + deviation(step)).clamp(0.0, 3.0))
    }
}
