//! Wire formats against frames and envelopes recorded in the field.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use roadcast::observation::{Decoded, Origin, RawMessage, RejectReason};
use roadcast::units::SourceId;
use roadcast::wire::asn1::csae2019::{self, MessageFrame};
use roadcast::wire::csae::{self, Envelope};
use roadcast::wire::{DecodeLimits, DecoderTable, Format, Route};

/// The folder of field recordings, or `None` with a message where it is not there.
fn csae_folder() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/csae"));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no field recordings at {}", folder.display());
    None
}

fn bytes(hex: &str) -> Vec<u8> {
    let nibbles: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16).map(|nibble| nibble as u8))
        .collect();
    nibbles
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

#[test]
fn field_frames_come_back_byte_for_byte() {
    let Some(folder) = csae_folder() else { return };
    let vectors = fs::read_to_string(folder.join("vectors.tsv")).unwrap();
    let mut kinds = [0; 5];
    for line in vectors.lines() {
        let (name, rest) = line.split_once('\t').unwrap();
        let wire = bytes(rest.split('\t').next().unwrap());
        let frame = csae2019::decode_frame(&wire).unwrap_or_else(|e| panic!("{name}: {e}"));
        let kind = match &frame {
            MessageFrame::BsmFrame(_) => 0,
            MessageFrame::MapFrame(_) => 1,
            MessageFrame::RsmFrame(_) => 2,
            MessageFrame::SpatFrame(_) => 3,
            MessageFrame::RsiFrame(_) => 4,
            other => panic!("{name}: {other:?}"),
        };
        kinds[kind] += 1;
        assert_eq!(csae2019::encode_frame(&frame).unwrap(), wire, "{name}");

        for end in 0..wire.len() {
            assert!(
                csae2019::decode_frame(&wire[..end]).is_err(),
                "{name} cut at {end}"
            );
        }
        let tailed = [&wire[..], &[0]].concat();
        let error = csae2019::decode_frame(&tailed).unwrap_err();
        assert_eq!(error, csae2019::FrameError::TrailingBytes, "{name}");
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}

#[test]
fn field_envelopes_are_understood() {
    let Some(folder) = csae_folder() else { return };
    let table = DecoderTable::new(
        vec![
            Route::new("V2X.RSU.+", Format::NativeJson),
            Route::new("#", Format::CsaeUper { envelope: true }),
        ],
        DecodeLimits::default(),
    );
    let decode = |kind: &str| {
        let payload = bytes(&fs::read_to_string(folder.join(format!("env_{kind}.hex"))).unwrap());
        let envelope = Envelope::parse(&payload).unwrap();
        assert_eq!(&envelope.rsu_id[..], b"u_id_123", "{kind}");
        let mut again = Vec::new();
        csae::encode_envelope(
            envelope.rsu_id,
            envelope.sent_at,
            &envelope.frames,
            &mut again,
        );
        assert_eq!(again, payload, "{kind}");

        let received_at = envelope.sent_at.plus_millis(40);
        let mut out = Decoded::default();
        let message = RawMessage {
            received_at,
            source: SourceId(0),
            topic: format!("V2X.RSU.{kind}.UP").into(),
            payload: Bytes::from(payload),
        };
        table.decode(&message, &mut out);
        out
    };

    let bsm = decode("BSM");
    assert_eq!(bsm.observations.len(), 2, "{bsm:?}");
    assert!(bsm.observations.iter().all(|o| o.origin == Origin::Bsm));
    // The unit of this recording saw one bicycle.
    let rsm = decode("RSM");
    assert_eq!(
        rsm.rejected.get(RejectReason::UnsupportedKind),
        1,
        "{rsm:?}"
    );
    for kind in ["RSI", "MAP", "SPAT"] {
        let out = decode(kind);
        assert_eq!(
            out.rejected.get(RejectReason::UnsupportedKind),
            1,
            "{kind}: {out:?}"
        );
        assert!(out.observations.is_empty());
    }
}
