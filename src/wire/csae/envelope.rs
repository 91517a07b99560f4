//! The binary envelope between roadside unit and centre:
//! `rsuId[8] | timestamp i64 LE, ms UTC | (BSM only) count u8 | { length u16 LE | frame }*`.

use crate::units::Timestamp;
use crate::wire::asn1::FrameError;

/// Bytes of the id and the timestamp.
const HEADER_BYTES: usize = 16;

/// Frames as a roadside unit sends them to the centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The sending unit.
    pub rsu_id: [u8; 8],
    /// When it sent, by its own clock.
    pub sent_at: Timestamp,
    /// UPER message frames, not looked into.
    pub frames: Vec<&'a [u8]>,
}

/// The unit that an envelope names, before anything else of it is read: visible ASCII, without the
/// blanks and zeros that fill it up. `None` for other ids.
pub fn envelope_sender(bytes: &[u8]) -> Option<&str> {
    let id = std::str::from_utf8(bytes.get(..8)?).ok()?;
    let id = id.trim_end_matches([' ', '\0']);
    let is_name = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then_some(id)
}

impl<'a> Envelope<'a> {
    /// Takes an envelope apart. BSM frames have a count in front, others none; which of the two it
    /// is shows in the kind of the frames and in the lengths, which must add up exactly.
    ///
    /// # Errors
    ///
    /// Says whether the bytes break off, go on behind the last counted frame, or fit neither form.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (header, rest) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(FrameError::Truncated)?;
        let [id @ .., _, _, _, _, _, _, _, _] = header;
        let [_, _, _, _, _, _, _, _, sent_ms @ ..] = header;
        let mut frames = Vec::new();
        match frames_without_count(rest, &mut frames) {
            Ok(()) => {}
            Err(plain_error) => {
                frames.clear();
                // Without BSM behind a count, the reason is that of the plain form.
                let is_bsm = rest.get(3).is_some_and(|first| is_bsm(&[*first]));
                let counted = counted_frames(rest, &mut frames);
                counted.map_err(|error| if is_bsm { error } else { plain_error })?;
            }
        }
        Ok(Self {
            rsu_id: *id,
            sent_at: Timestamp::from_millis(i64::from_le_bytes(*sent_ms)),
            frames,
        })
    }
}

/// Whether a frame is a BSM: no extension, alternative 0.
fn is_bsm(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first >> 4 == 0)
}

fn split_frame(rest: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(FrameError::Truncated)?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
        .ok_or(FrameError::Truncated)
}

fn frames_without_count<'a>(
    mut rest: &'a [u8],
    frames: &mut Vec<&'a [u8]>,
) -> Result<(), FrameError> {
    while !rest.is_empty() {
        let (frame, behind) = split_frame(rest)?;
        if is_bsm(frame) || frame.is_empty() {
            return Err(FrameError::Malformed);
        }
        frames.push(frame);
        rest = behind;
    }
    Ok(())
}

fn counted_frames<'a>(rest: &'a [u8], frames: &mut Vec<&'a [u8]>) -> Result<(), FrameError> {
    let (count, mut rest) = rest.split_first().ok_or(FrameError::Truncated)?;
    for _ in 0..*count {
        let (frame, behind) = split_frame(rest)?;
        if !is_bsm(frame) {
            return Err(FrameError::Malformed);
        }
        frames.push(frame);
        rest = behind;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(FrameError::TrailingBytes)
    }
}

/// Appends an envelope of `frames` to `out`; a count is written when the first is a BSM. Frames of
/// more than 65 535 bytes, and BSM beyond the 255th, are left out.
pub fn encode_envelope(
    rsu_id: [u8; 8],
    sent_at: Timestamp,
    frames: &[impl AsRef<[u8]>],
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&rsu_id);
    out.extend_from_slice(&sent_at.as_millis().to_le_bytes());
    let with_length = |frame: &'_ [u8]| u16::try_from(frame.len()).ok();
    let counted = frames.first().is_some_and(|frame| is_bsm(frame.as_ref()));
    let limit = if counted { 255 } else { usize::MAX };
    let fitting = || {
        frames
            .iter()
            .map(AsRef::as_ref)
            .filter_map(|frame| Some((with_length(frame)?, frame)))
            .take(limit)
    };
    if counted {
        out.push(fitting().count() as u8);
    }
    for (length, frame) in fitting() {
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(frame);
    }
}
