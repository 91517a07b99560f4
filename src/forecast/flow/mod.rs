//! The flow of the next hour where detectors count, in the same twelve steps as speed.
//!
//! What is usual, plus what is left of the last step's deviation and of that of about the last quarter
//! of an hour, learnt, scored and given intervals by the machinery that serves speeds
//! ([`ErrorTracker`], [`ProfileResidual`]): it knows shares of a scale, and here the scale is a
//! segment's largest usual flow. No network speaks: none of the data at hand has speed and flow of
//! one place. Where nothing counts, nothing is said; flows estimated from probes are means over
//! a quarter of an hour and no truth to learn from.

mod profile;

use std::collections::BTreeMap;

use super::snapshot::{Reader, SnapshotError, put_bytes, put_u32};
use super::{
    ErrorTracker, Forecaster, History, LAG_COUNT, ProfileResidual, STEP_COUNT, SpeedQuantiles,
};
use crate::network::NetworkVersion;
use crate::state::{Calendar, Closures, Provenance, SegmentState, StateBatch};
use crate::units::{Interval, SegmentId, Timestamp};
use profile::FlowProfile;

const SNAPSHOT_VERSION: u32 = 1;
/// New columns are taken on multiples of this.
const HOUR_MS: i64 = 3_600_000;
/// Counted segments whose flow is forecast, at most: about 5 kB each. Those counted later are left out.
pub const COUNTED_MAX: usize = 20_000;

/// Flow quantiles of one segment and step, veh/h.
///
/// Invariant: finite, `0 <= p10 <= p50 <= p90`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlowQuantiles {
    /// One in ten is less than this.
    pub p10_vph: f32,
    /// The median.
    pub p50_vph: f32,
    /// One in ten is more than this.
    pub p90_vph: f32,
}

/// The flow forecast of every counted segment; steps are those of the [`super::ForecastBatch`] that is
/// issued at the same time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowBatch {
    /// End of the last closed minute it knows.
    pub issued_at: Timestamp,
    /// Where the first step begins.
    pub first_step: Timestamp,
    /// The network the ids belong to.
    pub network: NetworkVersion,
    of: BTreeMap<SegmentId, [FlowQuantiles; STEP_COUNT]>,
}

impl FlowBatch {
    /// The steps of a segment, if it is counted.
    pub fn steps(&self, segment: SegmentId) -> Option<&[FlowQuantiles; STEP_COUNT]> {
        self.of.get(&segment)
    }

    /// The same without some segments.
    #[must_use]
    pub fn without(mut self, is_left_out: impl Fn(SegmentId) -> bool) -> Self {
        self.of.retain(|&id, _| !is_left_out(id));
        self
    }

    /// The same where these roads are closed: nobody passes in steps that are closed for half of them or
    /// longer. `interval` is what each step covers.
    #[must_use]
    pub fn with_closures(
        mut self,
        closures: &Closures,
        interval: impl Fn(usize) -> Interval,
    ) -> Self {
        for (segment, step) in closures.covered(STEP_COUNT, interval) {
            if let Some(steps) = self.of.get_mut(&segment) {
                steps[step] = FlowQuantiles::default();
            }
        }
        self
    }

    /// The counted segments, in order.
    pub fn segments(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.of.keys().copied()
    }
}

/// Forecasts the flow of counted segments.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowForecaster {
    network: NetworkVersion,
    /// The segments that were counted, in the order in which they came.
    columns: Vec<SegmentId>,
    column_of: BTreeMap<SegmentId, u32>,
    profile: FlowProfile,
    history: History,
    errors: ErrorTracker,
    calendar: Calendar,
}

impl FlowForecaster {
    /// Knows no flow yet.
    pub fn new(calendar: Calendar) -> Self {
        Self {
            network: NetworkVersion::default(),
            columns: Vec::new(),
            column_of: BTreeMap::new(),
            profile: FlowProfile::new(calendar.clone()),
            history: History::new().of_flows(),
            errors: ErrorTracker::new().of_flows(),
            calendar,
        }
    }

    /// Takes a closed minute and, where something is counted, forecasts.
    pub fn close_minute(&mut self, batch: &StateBatch) -> Option<FlowBatch> {
        if batch.network != self.network {
            *self = Self::new(self.calendar.clone());
            self.network = batch.network;
        }
        self.take_columns(batch);
        if self.columns.is_empty() {
            return None;
        }
        self.history.push(&self.flows_as_speeds(batch));
        if let Some(finished) = self.history.finished_step() {
            let of = |column| finished.measured_mps(SegmentId(column)).unwrap_or(f32::NAN);
            let row = (0..self.columns.len() as u32).map(of).collect();
            self.profile.push(finished.start, row);
        }
        self.history.learn_levels(&self.profile);
        self.errors.observe(&self.history);
        let calibration = self.errors.calibration();
        let mut request = self.history.forecast_request(&self.profile, calibration)?;
        // A silent detector says nothing of now, least of all that nobody drives.
        for column in 0..self.columns.len() {
            let lag = column * LAG_COUNT;
            if request.history_share[lag] <= 0.0 {
                request.now_mps[column] = match request.history_share[lag + 1] > 0.0 {
                    true => request.history_mps[lag + 1],
                    false => request.past_profile_mps[lag],
                };
            }
        }
        let said = ProfileResidual.forecast(&request);
        let said = self.errors.settle(&request, said);
        let is_counted = |column: usize| {
            let hour = &request.history_share[column * LAG_COUNT..][..LAG_COUNT];
            hour.iter().any(|&share| share > 0.0)
        };
        let steps = said.quantiles.as_chunks::<STEP_COUNT>().0.iter();
        let of_columns = self.columns.iter().copied().zip(steps).enumerate();
        let counted = of_columns.filter(|(column, _)| is_counted(*column));
        Some(FlowBatch {
            issued_at: said.issued_at,
            first_step: said.first_step,
            network: self.network,
            of: counted
                .map(|(_, (id, steps))| (id, steps.map(flow_of)))
                .collect(),
        })
    }

    /// Rolling scores, in veh/h: of [`super::Speaker::Published`] and of the baselines.
    pub fn errors(&self) -> &ErrorTracker {
        &self.errors
    }

    /// Counted segments of which flow is forecast.
    pub fn counted(&self) -> usize {
        self.columns.len()
    }

    /// Adds the segments that are counted for the first time, on the hour, or at once while there are none.
    /// Their profile begins empty; the last hour and the levels of all are forgotten, because they are kept
    /// for a fixed number of columns.
    fn take_columns(&mut self, batch: &StateBatch) {
        let before = self.columns.len();
        let start = batch.interval.start;
        if before > 0 && start != start.floor_to(HOUR_MS) {
            return;
        }
        for (id, state) in (0..).map(SegmentId).zip(&batch.segments) {
            let has_flow = state.is_counted && state.flow_vph.is_some();
            let is_new = has_flow && !self.column_of.contains_key(&id);
            if is_new && self.columns.len() < COUNTED_MAX {
                self.column_of.insert(id, self.columns.len() as u32);
                self.columns.push(id);
            }
        }
        if self.columns.len() > before {
            self.profile.grow(self.columns.len());
        }
    }

    /// The minute with flows, veh/h, in the place of speeds, a segment a column.
    fn flows_as_speeds(&self, batch: &StateBatch) -> StateBatch {
        let of = |&id: &SegmentId| {
            let state = &batch.segments[id.index()];
            let flow_vph = state.flow_vph.filter(|_| state.is_counted);
            SegmentState {
                speed_mps: flow_vph.unwrap_or_default(),
                provenance: match flow_vph {
                    Some(_) => Provenance::Observed,
                    None => Provenance::Profile,
                },
                ..SegmentState::default()
            }
        };
        StateBatch {
            interval: batch.interval,
            network: batch.network,
            segments: self.columns.iter().map(of).collect(),
        }
    }

    /// Appends this memory to `out`.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_u32(out, SNAPSHOT_VERSION);
        out.extend_from_slice(&self.network.0);
        put_u32(out, self.columns.len() as u32);
        self.columns.iter().for_each(|id| put_u32(out, id.0));
        self.profile.snapshot(out);
        let mut block = Vec::new();
        self.history.snapshot(&mut block);
        put_bytes(out, &block);
        block.clear();
        self.errors.snapshot(&mut block);
        put_bytes(out, &block);
    }

    /// Reads what [`FlowForecaster::snapshot`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version, cut off or malformed.
    pub fn restore(bytes: &[u8], calendar: Calendar) -> Result<Self, SnapshotError> {
        let mut reader = Reader::new(bytes, SNAPSHOT_VERSION)?;
        let mut flows = Self::new(calendar.clone());
        flows.network.0.copy_from_slice(reader.take(32)?);
        let count = reader.u32()? as usize;
        if count > COUNTED_MAX {
            return Err(reader.malformed());
        }
        for column in 0..count as u32 {
            let id = SegmentId(reader.u32()?);
            flows.columns.push(id);
            flows.column_of.insert(id, column);
        }
        flows.profile = FlowProfile::restore(&mut reader, calendar, count)?;
        flows.history = History::restore(reader.any_bytes()?)?.of_flows();
        flows.errors = ErrorTracker::restore(reader.any_bytes()?)?.of_flows();
        reader.finish()?;
        Ok(flows)
    }
}

/// The machinery of speeds says veh/h here, see above.
fn flow_of(step: SpeedQuantiles) -> FlowQuantiles {
    FlowQuantiles {
        p10_vph: step.p10_mps,
        p50_vph: step.p50_mps,
        p90_vph: step.p90_mps,
    }
}

#[cfg(test)]
mod tests {
    use super::super::windows::unit_hash;
    use super::super::{STEP_MS, Speaker, SpeedProfile};
    use super::*;
    use crate::units::Interval;

    /// Three segments of which the second is never counted; the others have a peak at eight, higher or
    /// lower from day to day, and a chance of their own.
    fn minute(at: i64) -> StateBatch {
        let start = Timestamp::from_secs(60 * at);
        let (day, hour) = (at / 1_440, (at % 1_440) as f32 / 60.0);
        let of = |segment: u32| {
            let level = 0.8 + 0.4 * unit_hash(5, day as u64 * 3 + u64::from(segment));
            let peak = (-((hour - 8.0) / 1.5).powi(2)).exp();
            let mean_vph = 300.0 + 1_200.0 * level * peak;
            let chance = unit_hash(6, at as u64 * 3 + u64::from(segment)) - 0.5;
            SegmentState {
                is_counted: segment != 1,
                flow_vph: Some((mean_vph + 400.0 * chance).max(0.0)),
                ..SegmentState::default()
            }
        };
        StateBatch {
            interval: Interval {
                start,
                end: start.plus_secs(60),
            },
            network: NetworkVersion::default(),
            segments: (0..3).map(of).collect(),
        }
    }

    #[test]
    fn flow_is_forecast_where_it_is_counted_and_better_than_by_the_last_value() {
        let mut flows = FlowForecaster::new(Calendar::plain(0));
        let mut last = None;
        // Eleven days, until the peak is over.
        for at in 0..10 * 1_440 + 11 * 60 {
            last = flows.close_minute(&minute(at));
            let said = last.as_ref().unwrap();
            assert_eq!(said.issued_at, minute(at).interval.end);
            assert_eq!(said.first_step, said.issued_at.ceil_to(STEP_MS));
        }
        let batch = last.unwrap();
        assert_eq!(
            batch.segments().collect::<Vec<_>>(),
            [SegmentId(0), SegmentId(2)]
        );
        assert!(batch.steps(SegmentId(1)).is_none());
        let steps = batch.steps(SegmentId(0)).unwrap();
        assert!(
            steps
                .iter()
                .all(|s| s.p10_vph <= s.p50_vph && s.p50_vph <= s.p90_vph)
        );
        let mae = |speaker, step| flows.errors().rolling_mae_mps(speaker, step).unwrap();
        for step in [2, 5, 11] {
            let said = mae(Speaker::Published, step);
            assert!(said < 0.9 * mae(Speaker::LastValue, step), "{step}: {said}");
            assert!(said < mae(Speaker::Profile, step), "{step}: {said}");
        }
        assert!(
            flows.errors().onsets(Speaker::Published).onsets < 0.5,
            "a low flow is no jam"
        );
    }

    #[test]
    fn a_restart_changes_nothing_and_a_new_detector_leaves_profiles() {
        let mut flows = FlowForecaster::new(Calendar::plain(0));
        for at in 0..3 * 1_440 + 17 {
            flows.close_minute(&minute(at));
        }
        let mut bytes = Vec::new();
        flows.snapshot(&mut bytes);
        let mut restored = FlowForecaster::restore(&bytes, Calendar::plain(0)).unwrap();
        assert_eq!(restored, flows);
        bytes.pop();
        assert!(FlowForecaster::restore(&bytes, Calendar::plain(0)).is_err());
        // A detector that falls silent is as usual for an hour, and then forgotten.
        let mut silent = flows.clone();
        let mut told = Vec::new();
        for at in 3 * 1_440 + 17..3 * 1_440 + 97 {
            let mut minute = minute(at);
            minute.segments[0].is_counted = false;
            told.push(silent.close_minute(&minute).unwrap());
        }
        let usual_vph = silent.profile.speed_mps(SegmentId(0), told[19].first_step);
        let said = told[19].steps(SegmentId(0)).unwrap()[0].p50_vph;
        assert!(
            (said - usual_vph).abs() < 0.15 * usual_vph,
            "{said} {usual_vph}"
        );
        assert!(told[79].steps(SegmentId(0)).is_none() && told[79].steps(SegmentId(2)).is_some());
        let next = 3 * 1_440 + 17;
        let usual = flows
            .profile
            .speed_mps(SegmentId(0), Timestamp::from_secs(8 * 3_600));
        for at in next..next + 60 {
            let mut minute = minute(at);
            minute.segments[1].is_counted = at > next + 20;
            restored.close_minute(&minute);
            // It is taken on the hour.
            assert_eq!(restored.counted(), if at < 3 * 1_440 + 60 { 2 } else { 3 });
        }
        let now = restored
            .profile
            .speed_mps(SegmentId(0), Timestamp::from_secs(8 * 3_600));
        assert!((now - usual).abs() < 0.05 * usual, "{usual} {now}");
    }
}
