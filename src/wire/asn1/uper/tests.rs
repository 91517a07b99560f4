use proptest::prelude::*;

use super::*;
use crate::wire::asn1::csae::RoadsideSafetyMessage;
use crate::wire::asn1::drawn::any_of;
use crate::wire::asn1::{csae2019, csae2020};

fn hot_rsm(message: &RoadsideSafetyMessage) -> Hot {
    let participants = message.participants.iter().map(|participant| Participant {
        ptc_type: participant.ptc_type,
        ptc_id: participant.ptc_id,
        sec_mark: participant.sec_mark,
        pos: participant.pos.offset_ll.clone(),
        pos_confidence: participant.pos_confidence.pos,
        speed: participant.speed,
        heading: participant.heading,
    });
    Hot::Rsm(Rsm {
        id: *message.id,
        ref_pos: message.ref_pos.clone(),
        participants: participants.collect(),
    })
}

/// What the whole message says, in the form of the fast reader.
macro_rules! hot {
    ($dialect:ident, $bytes:expr) => {
        $dialect::decode_frame($bytes).map(|frame| match &frame {
            $dialect::MessageFrame::BsmFrame(message) => Hot::Bsm(Bsm {
                id: *message.id,
                sec_mark: message.sec_mark,
                pos: message.pos.clone(),
                pos_accuracy: message.pos_accuracy.clone(),
                pos_confidence: message.pos_confidence.as_ref().map(|set| set.pos),
                speed: message.speed,
                heading: message.heading,
            }),
            $dialect::MessageFrame::RsmFrame(message) => hot_rsm(message),
            _ => Hot::Other,
        })
    };
}

/// Both ways to read must take the same frames and see the same in them.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    if !matches!(bytes.first().map(|first| first >> 4), Some(0 | 2)) {
        return Ok(());
    }
    let whole = hot!(csae2019, bytes);
    prop_assert_eq!(read(Dialect::Csae2019, bytes).ok(), whole.ok());
    let whole = hot!(csae2020, bytes);
    prop_assert_eq!(read(Dialect::Csae2020, bytes).ok(), whole.ok());
    Ok(())
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any_of::<csae2019::BasicSafetyMessage>().prop_map(|message| {
            csae2019::encode_frame(&csae2019::MessageFrame::BsmFrame(message)).unwrap()
        }),
        any_of::<csae2020::BasicSafetyMessage>().prop_map(|message| {
            csae2020::encode_frame(&csae2020::MessageFrame::BsmFrame(message)).unwrap()
        }),
        any_of::<RoadsideSafetyMessage>().prop_map(|message| {
            csae2019::encode_frame(&csae2019::MessageFrame::RsmFrame(message)).unwrap()
        }),
    ]
}

proptest! {
    #[test]
    fn the_fast_reader_sees_what_the_types_see(bytes in any_frame()) {
        check(&bytes)?;
    }

    #[test]
    fn the_fast_reader_refuses_what_the_types_refuse(
        bytes in any_frame(), at: prop::sample::Index, flip in 1u8..=255, cut: prop::sample::Index,
    ) {
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= flip;
        check(&changed)?;
        check(&bytes[..cut.index(bytes.len())])?;
        check(&[&bytes[..], &[flip & 1]].concat())?;
    }

    #[test]
    fn the_fast_reader_agrees_on_garbage(mut bytes: Vec<u8>, rsm: bool) {
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x0f | if rsm { 0x20 } else { 0 };
        }
        check(&bytes)?;
    }
}
