//! Bits of an unaligned packed encoding (ITU-T X.691), read in order.

use crate::wire::asn1::FrameError;

/// Most bits of one read: they must fit into eight octets at any offset.
const BITS_MAX: u32 = 57;

/// Reads bits from the first to the last.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits (0 to 57), the first the highest.
    #[inline]
    pub(super) fn bits(&mut self, count: u32) -> Result<u64, FrameError> {
        debug_assert!(count <= BITS_MAX);
        let end = self.at + count as usize;
        if end > self.bytes.len() * 8 {
            return Err(FrameError::Truncated);
        }
        let (octet, offset) = (self.at / 8, self.at % 8);
        self.at = end;
        let rest = &self.bytes[octet.min(self.bytes.len())..];
        let word = match rest.first_chunk::<8>() {
            Some(octets) => u64::from_be_bytes(*octets),
            None => {
                let mut octets = [0; 8];
                octets[..rest.len()].copy_from_slice(rest);
                u64::from_be_bytes(octets)
            }
        };
        // A shift by 64 has no bits left.
        Ok((word << offset).checked_shr(64 - count).unwrap_or(0))
    }

    #[inline]
    pub(super) fn bit(&mut self) -> Result<bool, FrameError> {
        Ok(self.bits(1)? == 1)
    }

    /// Passes over `count` bits.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), FrameError> {
        if count > self.bytes.len() * 8 - self.at {
            return Err(FrameError::Truncated);
        }
        self.at += count;
        Ok(())
    }

    /// An integer or index of `count` bits from 0 to `max` (X.691, section 11.5).
    #[inline]
    pub(super) fn up_to(&mut self, count: u32, max: u64) -> Result<u64, FrameError> {
        let value = self.bits(count)?;
        if value > max {
            return Err(FrameError::OutOfRange);
        }
        Ok(value)
    }

    /// The extension bit, which must not be set.
    #[inline]
    pub(super) fn no_extension(&mut self) -> Result<(), FrameError> {
        if self.bit()? {
            return Err(FrameError::UnknownExtension);
        }
        Ok(())
    }

    /// Eight octets.
    pub(super) fn octets_8(&mut self) -> Result<[u8; 8], FrameError> {
        let (high, low) = (self.bits(32)?, self.bits(32)?);
        Ok((high << 32 | low).to_be_bytes())
    }

    /// Passes over a bit string of `size` bits that may be longer (X.691, section 16).
    pub(super) fn skip_extensible_bit_string(&mut self, size: usize) -> Result<(), FrameError> {
        if !self.bit()? {
            self.skip(size)?;
            return Ok(());
        }
        let long = self.bit()?;
        if long && self.bit()? {
            // More than 16 383 bits.
            return Err(FrameError::Malformed);
        }
        let length = self.bits(if long { 14 } else { 7 })? as usize;
        if length == size || long && length < 128 {
            // There is a shorter form of it.
            return Err(FrameError::Malformed);
        }
        self.skip(length)?;
        Ok(())
    }

    /// Checks that nothing but zero bits up to the next octet is left.
    pub(super) fn finish(mut self) -> Result<(), FrameError> {
        let left = self.bytes.len() * 8 - self.at;
        if left >= 8 {
            return Err(FrameError::TrailingBytes);
        }
        if self.bits(left as u32)? != 0 {
            return Err(FrameError::Padding);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_in_order_at_any_offset() {
        let bytes: Vec<u8> = (0..20u8).map(|n| n.wrapping_mul(37)).collect();
        let bit_at = |at: usize| u64::from(bytes[at / 8] >> (7 - at % 8) & 1);
        for start in 0..16 {
            for count in 0..=57 {
                let mut reader = Reader::new(&bytes);
                reader.skip(start).unwrap();
                let expected =
                    (start..start + count as usize).fold(0, |value, at| value << 1 | bit_at(at));
                assert_eq!(reader.bits(count), Ok(expected), "{start} {count}");
            }
        }
        let mut reader = Reader::new(&bytes);
        reader.skip(159).unwrap();
        assert_eq!(reader.bits(2), Err(FrameError::Truncated));
        assert_eq!(reader.bits(1), Ok(bit_at(159)));
        assert_eq!(reader.bits(0), Ok(0));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn what_is_left_is_named() {
        let after = |bytes: &[u8], count| {
            let mut reader = Reader::new(bytes);
            reader.bits(count).unwrap();
            reader.finish()
        };
        assert_eq!(after(&[0xff, 0x80], 9), Ok(()));
        assert_eq!(after(&[0xff, 0x81], 9), Err(FrameError::Padding));
        assert_eq!(after(&[0xff, 0x80, 0], 9), Err(FrameError::TrailingBytes));
        assert_eq!(after(&[0xff, 0], 8), Err(FrameError::TrailingBytes));
    }
}
