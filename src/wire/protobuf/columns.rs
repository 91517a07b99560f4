//! Finding the columns of a batch in place.

use crate::observation::RejectReason;

/// Protobuf wire types (Encoding, section "Message Structure").
const VARINT: u64 = 0;
const LEN: u64 = 2;

/// The columns of one batch, still encoded.
#[derive(Clone, Copy, Default)]
pub(super) struct Columns<'a> {
    pub(super) base_ts_ms: i64,
    pub(super) subject: &'a [u8],
    pub(super) ts: Varints<'a>,
    pub(super) lon: Varints<'a>,
    pub(super) lat: Varints<'a>,
    pub(super) speed: Varints<'a>,
    pub(super) heading: Varints<'a>,
}

impl<'a> Columns<'a> {
    /// The columns of `payload`, or `None` when it is not laid out as every column once, packed.
    pub(super) fn parse(payload: &'a [u8]) -> Option<Self> {
        let mut columns = Self::default();
        let mut rest = Varints(payload);
        let mut seen = 0u8;
        while !rest.is_empty() {
            let key = rest.next().ok()?;
            let (field, wire_type) = (key >> 3, key & 7);
            let bit = 1u8.checked_shl(u32::try_from(field).ok()?)?;
            if field == 0 || seen & bit != 0 {
                return None;
            }
            seen |= bit;
            if (field, wire_type) == (1, VARINT) {
                columns.base_ts_ms = unzigzag(rest.next().ok()?);
                continue;
            }
            if wire_type != LEN {
                return None;
            }
            let length = usize::try_from(rest.next().ok()?).ok()?;
            let (column, behind) = rest.0.split_at_checked(length)?;
            rest.0 = behind;
            match field {
                2 => columns.ts.0 = column,
                3 => columns.subject = column,
                4 => columns.lon.0 = column,
                5 => columns.lat.0 = column,
                6 => columns.speed.0 = column,
                7 => columns.heading.0 = column,
                _ => return None,
            }
        }
        Some(columns)
    }
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A run of varints.
#[derive(Clone, Copy, Default)]
pub(super) struct Varints<'a>(&'a [u8]);

impl Varints<'_> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// How many varints end in the run.
    pub(super) fn count(self) -> usize {
        // Sums of up to 255 bytes stay in a byte each, which vectorises well.
        let ends = |block: &[u8]| block.iter().map(|byte| u8::from(*byte < 0x80)).sum::<u8>();
        self.0
            .chunks(255)
            .map(|block| usize::from(ends(block)))
            .sum()
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<u64, RejectReason> {
        if let [byte @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        self.next_long()
    }

    #[inline]
    fn next_long(&mut self) -> Result<u64, RejectReason> {
        let mut value = 0;
        for (index, byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                // The tenth byte has room for one bit.
                if index == 9 && *byte > 1 {
                    break;
                }
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(RejectReason::Malformed)
    }

    #[inline]
    pub(super) fn next_signed(&mut self) -> Result<i64, RejectReason> {
        self.next().map(unzigzag)
    }
}
