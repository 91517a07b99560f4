//! Rolling scores of forecasts, so that whoever uses them sees what they are worth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TOPIC_ROOT;
use crate::forecast::{
    ErrorTracker, FlowForecaster, HALF_HOUR_MS, OnsetScores, OutlookSpeaker, OutlookTracker,
    RATIO_EDGES, STEP_COUNT, STEP_MS, Speaker, StepScores,
};
use crate::publish::OutMessage;

/// Steps whose scores are told one by one, from 0.
const SCORED_STEPS: [usize; 4] = [0, 2, 5, 11];

/// The steps whose scores are told and that have truths, with the minutes to their end.
pub fn scored_steps(steps: &[StepScores; STEP_COUNT]) -> impl Iterator<Item = (u32, &StepScores)> {
    let told = SCORED_STEPS.into_iter().map(|step| {
        let minutes = (step as u32 + 1) * (STEP_MS / 60_000) as u32;
        (minutes, &steps[step])
    });
    told.filter(|(_, scores)| scores.plain.count() > 0.0)
}

/// Whose flow forecasts are told of.
pub const FLOW_SPEAKERS: [Speaker; 4] = [
    Speaker::Published,
    Speaker::LastValue,
    Speaker::Profile,
    Speaker::ProfileResidual,
];

/// How forecasts have done over about the last six hours, against five-minute means measured later.
///
/// Topic `roadcast/v1/scores/forecast`, retained, QoS 0; HTTP `/api/v1/scores`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastScoresMessage {
    /// Network version, first 16 hexadecimal digits of its SHA-256.
    pub network: String,
    /// End of the newest five minutes that count, event time, milliseconds.
    pub until_ms: i64,
    /// Everyone who was scored: always the baselines, `running` and `published`; `shadow` where there
    /// is one.
    pub forecasters: Vec<ForecasterScoresEntry>,
    /// Who speaks, by class of the present speed's ratio to free flow, slowest first.
    pub voices: Vec<VoiceEntry>,
    /// Error of the running model as a share of that of `profile_residual`, over the share that its
    /// card states: 1 is as promised, more is worse. Absent where its card states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_card: Option<f64>,
    /// Error of the running model over its own mean in the same hours of about the last two weeks;
    /// absent before three days are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_long_run: Option<f64>,
    /// The same of the outlook, 60 to 180 minutes ahead, and of the baselines beside it; empty before
    /// its first half hour is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlook: Vec<OutlookScoresEntry>,
    /// The same of the flow where it is counted; empty where nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flow: Vec<FlowScoresEntry>,
}

/// The scores of one who forecasts flow: `published` or a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowScoresEntry {
    /// Whose they are.
    pub forecaster: ForecasterLabel,
    /// At the steps that end 5, 15, 30 and 60 minutes ahead; those without truth are left out.
    pub horizons: Vec<FlowFiguresEntry>,
}

/// Figures of the flow at one horizon, against means of five minutes counted later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowFiguresEntry {
    /// How far ahead, to the end of the step, minutes.
    pub minutes: u32,
    /// Truths it rests on.
    pub cells: f64,
    /// Mean absolute error of the median, veh/h.
    pub mae_vph: f64,
    /// Root of the mean squared error of the median, veh/h.
    pub rmse_vph: f64,
    /// Share of the truths between the quantiles .1 and .9: 0.8 is wanted.
    pub coverage_80: f64,
}

/// Who looks 60 to 180 minutes ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutlookForecasterLabel {
    /// What is published.
    Outlook,
    /// The present speed stays.
    LastValue,
    /// What is usual at that time.
    Profile,
    /// What is usual and the last quarter of an hour's deviation, which fades as before anything is
    /// learnt.
    ProfileResidual,
}

impl From<OutlookSpeaker> for OutlookForecasterLabel {
    fn from(speaker: OutlookSpeaker) -> Self {
        match speaker {
            OutlookSpeaker::Outlook => Self::Outlook,
            OutlookSpeaker::LastValue => Self::LastValue,
            OutlookSpeaker::Profile => Self::Profile,
            OutlookSpeaker::ProfileResidual => Self::ProfileResidual,
        }
    }
}

/// The scores of one of those who look 60 to 180 minutes ahead, against means of half an hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutlookScoresEntry {
    /// Whose they are.
    pub forecaster: OutlookForecasterLabel,
    /// Of the half hours that end 90, 120, 150 and 180 minutes ahead; those without truth are left
    /// out.
    pub half_hours: Vec<ForecastFiguresEntry>,
}

/// Who forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForecasterLabel {
    /// The configured model.
    Running,
    /// The present speed stays.
    LastValue,
    /// What is usual at that time.
    Profile,
    /// What is usual and the present deviation, which fades.
    ProfileResidual,
    /// A second model that is scored and not published.
    Shadow,
    /// What was published, whoever spoke.
    Published,
}

impl From<Speaker> for ForecasterLabel {
    fn from(speaker: Speaker) -> Self {
        match speaker {
            Speaker::Running => Self::Running,
            Speaker::LastValue => Self::LastValue,
            Speaker::Profile => Self::Profile,
            Speaker::ProfileResidual => Self::ProfileResidual,
            Speaker::Shadow => Self::Shadow,
            Speaker::Published => Self::Published,
        }
    }
}

/// Who speaks for segments whose present speed is so low.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VoiceEntry {
    /// Upper end of the class, present speed over free flow; absent for the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_below: Option<f32>,
    /// Who speaks while the model answers in time.
    pub forecaster: ForecasterLabel,
}

/// The scores of one forecaster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecasterScoresEntry {
    /// Whose they are.
    pub forecaster: ForecasterLabel,
    /// Mean over the twelve steps, those without truth left out.
    pub all: ForecastFiguresEntry,
    /// At the steps that end 5, 15, 30 and 60 minutes ahead; those without truth are left out.
    pub horizons: Vec<ForecastFiguresEntry>,
    /// How well the beginning of congestion was foretold.
    pub onsets: OnsetEntry,
}

/// Figures of one or of all horizons. Older truths count less, so that counts are no whole numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastFiguresEntry {
    /// How far ahead, to the end of the step, minutes; absent for all steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// Truths it rests on; congested is a speed below 0.6 of free flow.
    pub cells: f64,
    /// Congested truths among them.
    pub congested_cells: f64,
    /// Mean absolute error of the median, m/s.
    pub mae_mps: f64,
    /// Root of the mean squared error of the median, m/s.
    pub rmse_mps: f64,
    /// Mean absolute error where the truth is congested, m/s; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mae_congested_mps: Option<f64>,
    /// Mean pinball loss of the quantiles .05, .1, .5, .9 and .95, m/s.
    pub pinball_mps: f64,
    /// Share of the truths between the quantiles .05 and .95: 0.9 is wanted.
    pub coverage_90: f64,
    /// Share of the truths between the quantiles .1 and .9: 0.8 is wanted.
    pub coverage_80: f64,
    /// `coverage_90` of the congested truths; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage_90_congested: Option<f64>,
    /// `coverage_80` of the congested truths; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage_80_congested: Option<f64>,
    /// Mean distance of the quantiles .05 and .95, m/s.
    pub width_90_mps: f64,
}

/// Onsets of congestion: three five-minute steps below 0.6 of free flow after three above.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnsetEntry {
    /// Onsets that happened.
    pub onsets: f64,
    /// Those announced in the hour before, to within two steps.
    pub hits: f64,
    /// Alarms: announcements without a break.
    pub alarms: f64,
    /// Alarms that met no onset.
    pub false_alarms: f64,
    /// Mean time from the first right announcement to the onset, minutes; absent without a hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_min: Option<f64>,
}

impl ForecasterScoresEntry {
    fn of(errors: &ErrorTracker, speaker: Speaker) -> Self {
        let steps = errors.scores(speaker);
        Self {
            forecaster: speaker.into(),
            all: average(steps),
            horizons: scored_steps(steps)
                .map(|(minutes, scores)| ForecastFiguresEntry {
                    minutes: Some(minutes),
                    ..figures(scores)
                })
                .collect(),
            onsets: onset_entry(&errors.onsets(speaker)),
        }
    }
}

fn figures(step: &StepScores) -> ForecastFiguresEntry {
    ForecastFiguresEntry {
        minutes: None,
        cells: step.plain.count(),
        congested_cells: step.congested.count(),
        mae_mps: step.plain.mae(),
        rmse_mps: step.plain.rmse(),
        mae_congested_mps: step.congested_mae(),
        pinball_mps: step.mean_pinball(),
        coverage_90: step.coverage_90(),
        coverage_80: step.coverage_80(),
        coverage_90_congested: step.congested_coverage_90(),
        coverage_80_congested: step.congested_coverage_80(),
        width_90_mps: step.width_90(),
    }
}

fn average(steps: &[StepScores; STEP_COUNT]) -> ForecastFiguresEntry {
    let known: Vec<ForecastFiguresEntry> = steps
        .iter()
        .filter(|step| step.plain.count() > 0.0)
        .map(figures)
        .collect();
    let sum = |value: fn(&ForecastFiguresEntry) -> f64| known.iter().map(value).sum::<f64>();
    let mean = |value| sum(value) / known.len().max(1) as f64;
    let mean_known = |value: fn(&ForecastFiguresEntry) -> Option<f64>| {
        let values: Vec<f64> = known.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    ForecastFiguresEntry {
        minutes: None,
        cells: sum(|step| step.cells),
        congested_cells: sum(|step| step.congested_cells),
        mae_mps: mean(|step| step.mae_mps),
        rmse_mps: mean(|step| step.rmse_mps),
        mae_congested_mps: mean_known(|step| step.mae_congested_mps),
        pinball_mps: mean(|step| step.pinball_mps),
        coverage_90: mean(|step| step.coverage_90),
        coverage_80: mean(|step| step.coverage_80),
        coverage_90_congested: mean_known(|step| step.coverage_90_congested),
        coverage_80_congested: mean_known(|step| step.coverage_80_congested),
        width_90_mps: mean(|step| step.width_90_mps),
    }
}

fn onset_entry(onsets: &OnsetScores) -> OnsetEntry {
    OnsetEntry {
        onsets: onsets.onsets,
        hits: onsets.hits,
        alarms: onsets.alarms,
        false_alarms: onsets.false_alarms,
        lead_min: onsets.lead_min(),
    }
}

/// The scores of one who looks beyond the hour; `None` without any.
fn outlook_entry(outlooks: &OutlookTracker, speaker: OutlookSpeaker) -> Option<OutlookScoresEntry> {
    let half_hours: Vec<ForecastFiguresEntry> = (1..)
        .zip(outlooks.scores(speaker))
        .filter(|(_, scores)| scores.plain.count() > 0.0)
        .map(|(halves, scores)| ForecastFiguresEntry {
            minutes: Some(60 + halves * (HALF_HOUR_MS / 60_000) as u32),
            ..figures(scores)
        })
        .collect();
    (!half_hours.is_empty()).then(|| OutlookScoresEntry {
        forecaster: speaker.into(),
        half_hours,
    })
}

/// The scores of one who forecasts flow; `None` without any.
fn flow_entry(flows: &FlowForecaster, speaker: Speaker) -> Option<FlowScoresEntry> {
    let steps = flows.errors().scores(speaker);
    let horizons: Vec<FlowFiguresEntry> = scored_steps(steps)
        .map(|(minutes, scores)| FlowFiguresEntry {
            minutes,
            cells: scores.plain.count(),
            mae_vph: scores.plain.mae(),
            rmse_vph: scores.plain.rmse(),
            coverage_80: scores.coverage_80(),
        })
        .collect();
    (!horizons.is_empty()).then(|| FlowScoresEntry {
        forecaster: speaker.into(),
        horizons,
    })
}

/// The scores as they stand; `None` before the first five minutes are over.
pub fn scores_message(
    errors: &ErrorTracker,
    outlooks: &OutlookTracker,
    flows: &FlowForecaster,
) -> Option<ForecastScoresMessage> {
    let until = errors.scored_until()?;
    let is_shown = |speaker: &Speaker| {
        let steps = errors.scores(*speaker);
        *speaker != Speaker::Shadow || steps.iter().any(|step| step.plain.count() > 0.0)
    };
    let voices = errors.voices().iter().enumerate();
    let drift = errors.drift();
    Some(ForecastScoresMessage {
        network: errors.network().to_string(),
        until_ms: until.as_millis(),
        forecasters: Speaker::ALL
            .into_iter()
            .filter(is_shown)
            .map(|speaker| ForecasterScoresEntry::of(errors, speaker))
            .collect(),
        voices: voices
            .map(|(class, &speaker)| VoiceEntry {
                ratio_below: RATIO_EDGES.get(class).copied(),
                forecaster: speaker.into(),
            })
            .collect(),
        drift_card: drift.card,
        drift_long_run: drift.long_run,
        outlook: OutlookSpeaker::ALL
            .into_iter()
            .filter_map(|speaker| outlook_entry(outlooks, speaker))
            .collect(),
        flow: FLOW_SPEAKERS
            .into_iter()
            .filter_map(|speaker| flow_entry(flows, speaker))
            .collect(),
    })
}

/// The message of the scores.
pub fn scores_out(scores: &ForecastScoresMessage) -> Option<OutMessage> {
    Some(OutMessage {
        topic: format!("{TOPIC_ROOT}/scores/forecast"),
        payload: serde_json::to_vec(scores).ok()?.into(),
        qos: 0,
        retain: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Calendar;

    #[test]
    fn nothing_is_told_before_anything_was_scored() {
        assert_eq!(
            scores_message(
                &ErrorTracker::new(),
                &OutlookTracker::new(),
                &FlowForecaster::new(Calendar::default())
            ),
            None
        );
    }

    #[test]
    fn steps_without_truth_take_no_part_in_the_mean() {
        let mut steps = [StepScores::default(); STEP_COUNT];
        steps[1].add(10.0, [6.0, 8.0, 12.0, 13.0, 14.0], false);
        steps[3].add(4.0, [3.0, 4.5, 5.0, 8.0, 9.0], true);
        let mean = average(&steps);
        assert!((mean.mae_mps - 1.5).abs() < 1e-12);
        assert_eq!(mean.mae_congested_mps, Some(1.0));
        assert_eq!((mean.coverage_90, mean.coverage_80), (1.0, 0.5));
        assert_eq!(mean.coverage_80_congested, Some(0.0));
        assert_eq!((mean.cells, mean.congested_cells), (2.0, 1.0));
        assert!((mean.width_90_mps - 7.0).abs() < 1e-12);
    }
}
