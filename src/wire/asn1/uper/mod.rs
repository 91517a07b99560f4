//! BSM and RSM read by hand: what an observation needs, several times as fast as whole messages.
//!
//! Every member is still checked against its range and the frame read to its end, so that these
//! readers take exactly the frames that the types of the message set take; a test on random
//! messages of both dialects holds them to that.

mod bsm;
mod members;
mod reader;
mod rsm;
#[cfg(test)]
mod tests;

pub(crate) use bsm::Bsm;
pub(crate) use rsm::{Participant, Rsm};

use super::{Dialect, FrameError};
use reader::Reader;

/// A frame as far as observations need it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Hot {
    /// A basic safety message.
    Bsm(Bsm),
    /// A roadside safety message.
    Rsm(Rsm),
    /// Another message, not looked into.
    Other,
}

/// Reads exactly one frame.
pub(crate) fn read(dialect: Dialect, bytes: &[u8]) -> Result<Hot, FrameError> {
    let mut reader = Reader::new(bytes);
    // Extension bit and index of the alternative.
    let hot = match reader.bits(4)? {
        0 => Hot::Bsm(bsm::read(&mut reader, dialect)?),
        2 => Hot::Rsm(rsm::read(&mut reader)?),
        _ => return Ok(Hot::Other),
    };
    reader.finish()?;
    Ok(hot)
}
