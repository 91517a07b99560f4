//! Advice read back from its message: what a restarted engine still shows until it is renewed.

use std::sync::Arc;

use super::guidance::{DiversionEntry, EvidenceEntry, GuidanceMessage, JamEntry, PlaceEntry};
use crate::guide::{Diversion, Evidence, Guidance, GuidanceKind, JamWarning};
use crate::network::Network;
use crate::state::Level;
use crate::units::{SegmentId, Timestamp};

/// The advice that `message` tells, with its numbers as rounded there; `None` where it is of another
/// network version or not whole.
pub fn guidance_of(network: &Network, message: &GuidanceMessage) -> Option<Guidance> {
    if message.network != network.version().to_string() {
        return None;
    }
    let kind = match (&message.jam, &message.diversion) {
        (Some(entry), None) => GuidanceKind::Jam(jam(network, entry)?),
        (None, Some(entry)) => GuidanceKind::Diversion(diversion(network, entry)?),
        _ => return None,
    };
    let evidence = |entry| evidence(network, entry);
    Some(Guidance {
        id: id(&message.id)?,
        revision: message.revision,
        kind,
        valid_from: Timestamp::from_millis(message.valid_from_ms),
        valid_until: Timestamp::from_millis(message.valid_until_ms),
        withdrawn: false,
        horizon_s: message.horizon_s,
        confidence: message.confidence,
        reason: message.reason.clone(),
        reason_zh: message.reason_zh.clone(),
        because: message
            .because
            .iter()
            .map(evidence)
            .collect::<Option<_>>()?,
        supersedes: match &message.supersedes {
            Some(text) => Some(id(text)?),
            None => None,
        },
        network: network.version(),
    })
}

fn id(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn segment(network: &Network, number: u32) -> Option<SegmentId> {
    ((number as usize) < network.segment_count()).then_some(SegmentId(number))
}

fn segments(network: &Network, numbers: &[u32]) -> Option<Vec<SegmentId>> {
    let known = numbers.iter().map(|&number| segment(network, number));
    known.collect()
}

fn place(network: &Network, entry: &PlaceEntry) -> Option<(SegmentId, f32)> {
    Some((segment(network, entry.segment)?, entry.offset_m))
}

fn jam(network: &Network, entry: &JamEntry) -> Option<JamWarning> {
    Some(JamWarning {
        segments: segments(network, &entry.segments)?,
        head: place(network, &entry.head)?,
        tail: place(network, &entry.tail)?,
        level: Level::from_code(entry.level),
        length_m: entry.length_m,
        speed_mps: entry.speed_mps,
        delay_s: entry.delay_s,
        onset: Timestamp::from_millis(entry.onset_ms),
        forecast_end: entry.forecast_end_ms.map(Timestamp::from_millis),
    })
}

fn diversion(network: &Network, entry: &DiversionEntry) -> Option<Diversion> {
    Some(Diversion {
        jam: id(&entry.jam_id)?,
        decision: segment(network, entry.decision.segment)?,
        main: segments(network, &entry.main_segments)?,
        alternative: segments(network, &entry.alternative_segments)?,
        main_s: entry.main_s,
        alternative_s: entry.alternative_s,
        share: entry.share,
    })
}

fn evidence(network: &Network, entry: &EvidenceEntry) -> Option<Evidence> {
    Some(match entry {
        EvidenceEntry::State {
            segment: number,
            at_ms,
            speed_mps,
            free_flow_mps,
            sample_count,
        } => Evidence::State {
            segment: segment(network, *number)?,
            at: Timestamp::from_millis(*at_ms),
            speed_mps: *speed_mps,
            free_flow_mps: *free_flow_mps,
            sample_count: sample_count.unwrap_or(0),
        },
        EvidenceEntry::Vehicles {
            at_ms,
            in_jam,
            near_tail,
            radius_m,
        } => Evidence::Vehicles {
            at: Timestamp::from_millis(*at_ms),
            in_jam: in_jam.unwrap_or(0),
            near_tail: near_tail.unwrap_or(0),
            radius_m: *radius_m,
        },
        EvidenceEntry::Forecast {
            segment: number,
            at_ms,
            p50_mps,
            model,
        } => Evidence::Forecast {
            segment: segment(network, *number)?,
            at: Timestamp::from_millis(*at_ms),
            p50_mps: *p50_mps,
            model: Arc::from(model.as_str()),
        },
        EvidenceEntry::TravelTimes {
            main_s,
            alternative_s,
            probability,
        } => Evidence::TravelTimes {
            main_s: *main_s,
            alternative_s: *alternative_s,
            probability: *probability,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::format::{fixture, guidance_entry};

    #[test]
    fn advice_read_back_is_told_as_before() {
        let network = fixture::network();
        for guidance in [fixture::jam(&network), fixture::diversion(&network)] {
            let message = guidance_entry(&network, &guidance);
            let recalled = guidance_of(&network, &message).expect("of this network");
            assert_eq!(guidance_entry(&network, &recalled), message);
            let elsewhere = GuidanceMessage {
                network: "0123456789abcdef".into(),
                ..message.clone()
            };
            assert!(guidance_of(&network, &elsewhere).is_none());
        }
        let mut message = guidance_entry(&network, &fixture::jam(&network));
        let jam = message.jam.as_mut().expect("a jam");
        jam.segments.push(network.segment_count() as u32);
        assert!(guidance_of(&network, &message).is_none());
    }
}
