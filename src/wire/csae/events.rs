//! Roadside information as events: what units tell.

use std::sync::Arc;

use encoding_rs::GBK;

use crate::observation::{EventCode, RejectReason, RoadEvent};
use crate::units::{Position, Timestamp};
use crate::wire::asn1::csae::{
    Description, Position3D, PositionOffsetLl, PositionOffsetLlv, RsiTimeDetails,
};
use crate::wire::asn1::{csae2019, csae2020};

use super::calendar::{sent_in_minute, validity};
use super::quantity::resolve_offset;

type Record<T> = Result<T, RejectReason>;

/// One step of a radius in metres.
const RADIUS_STEP_M: f32 = 0.1;

/// Steps of a confidence from 0 to 1 (DE_Confidence: 0.5 %).
const CONFIDENCE_STEPS: f32 = 200.0;

/// What the events of one message have in common.
struct Telling<'a> {
    source: Arc<str>,
    observed_at: Timestamp,
    reference: &'a Position3D,
}

/// How a unit of 8 octets is called: its text without trailing zeros where it is printable ASCII,
/// else 16 hexadecimal digits.
pub(super) fn unit_name(id: &[u8]) -> Arc<str> {
    let end = id
        .iter()
        .rposition(|octet| *octet != 0)
        .map_or(0, |at| at + 1);
    let text = &id[..end];
    if !text.is_empty() && text.iter().all(u8::is_ascii_graphic) {
        String::from_utf8_lossy(text).into()
    } else {
        let digits: String = id.iter().map(|octet| format!("{octet:02x}")).collect();
        digits.into()
    }
}

/// The releases have the same members here under different bounds, so in different types.
macro_rules! events_of {
    ($name:ident, $release:ident) => {
        /// The events and signs of a message received at `near`, in its order.
        pub(super) fn $name(
            message: &$release::RoadSideInformation,
            near: Timestamp,
        ) -> impl Iterator<Item = Record<RoadEvent>> + '_ {
            let telling = Arc::new(Telling {
                source: unit_name(&*message.id),
                observed_at: sent_in_minute(message.moy, near),
                reference: &message.ref_pos,
            });
            let paths = |telling: &Telling<'_>, paths: Option<&[$release::ReferencePath]>| {
                paths
                    .unwrap_or_default()
                    .iter()
                    .map(|path| telling.path(&path.active_path))
                    .collect::<Record<Vec<_>>>()
            };
            let here = telling.clone();
            let event = move |event: &$release::RteData| -> Record<RoadEvent> {
                let code = EventCode::Gbt29100(event.event_type.into());
                let mut told = here.common(
                    event.rte_id,
                    code,
                    event.event_pos.as_ref(),
                    event.time_details.as_ref(),
                    event.description.as_ref(),
                )?;
                told.radius_m = event.event_radius.map(|r| f32::from(r) * RADIUS_STEP_M);
                told.paths = paths(&here, event.reference_paths.as_deref())?;
                told.confidence = event
                    .event_confidence
                    .map(|steps| f32::from(steps) / CONFIDENCE_STEPS);
                Ok(told)
            };
            let sign = move |sign: &$release::RtsData| -> Record<RoadEvent> {
                let code = EventCode::Gb5768(sign.sign_type.into());
                let mut told = telling.common(
                    sign.rts_id,
                    code,
                    sign.sign_pos.as_ref(),
                    sign.time_details.as_ref(),
                    sign.description.as_ref(),
                )?;
                told.paths = paths(&telling, sign.reference_paths.as_deref())?;
                Ok(told)
            };
            let events = message.rtes.iter().flatten().map(event);
            events.chain(message.rtss.iter().flatten().map(sign))
        }
    };
}

events_of!(events_2019, csae2019);
events_of!(events_2020, csae2020);

impl Telling<'_> {
    fn common(
        &self,
        number: u8,
        code: EventCode,
        position: Option<&PositionOffsetLlv>,
        time: Option<&RsiTimeDetails>,
        description: Option<&Description>,
    ) -> Record<RoadEvent> {
        let position = position.map(|offset| self.point(&offset.offset_ll));
        let (valid_from, valid_until) = validity(
            time.and_then(|time| time.start_time),
            time.and_then(|time| time.end_time),
            self.observed_at,
        );
        Ok(RoadEvent {
            observed_at: self.observed_at,
            source: self.source.clone(),
            event: u64::from(number),
            code,
            position: position.transpose()?,
            radius_m: None,
            paths: Vec::new(),
            lane: None,
            valid_from,
            valid_until,
            confidence: None,
            ended: false,
            description: description.map(text),
        })
    }

    fn point(&self, offset: &PositionOffsetLl) -> Record<Position> {
        let position = resolve_offset(self.reference, offset)?;
        // Offsets may lead over a pole.
        if position.is_valid() {
            Ok(position)
        } else {
            Err(RejectReason::OutOfRange)
        }
    }

    fn path(&self, path: &[PositionOffsetLlv]) -> Record<Vec<Position>> {
        path.iter()
            .map(|offset| self.point(&offset.offset_ll))
            .collect()
    }
}

/// A description in UTF-8; octets are read as GBK, which contains GB 2312, and what is neither
/// becomes U+FFFD.
fn text(description: &Description) -> Arc<str> {
    match description {
        Description::TextString(text) => text.to_string().into(),
        Description::TextGb2312(octets) => GBK.decode_without_bom_handling(octets).0.into(),
    }
}
