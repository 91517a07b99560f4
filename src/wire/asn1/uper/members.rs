//! Members that BSM and RSM share: read where an observation needs them, checked and passed over
//! where it does not. Widths are those of the field tables: the bits of the range (X.691, 11.5.7).

use super::reader::Reader;
use crate::wire::asn1::FrameError;
use crate::wire::asn1::csae::{
    Position3D, PositionConfidence, PositionLl24B, PositionLl28B, PositionLl32B, PositionLl36B,
    PositionLl44B, PositionLl48B, PositionLlmD64b, PositionOffsetLl, PositionalAccuracy,
};

type Read<T> = Result<T, FrameError>;

const LATITUDE: (i64, u64) = (-900_000_000, 1_800_000_001);
const LONGITUDE: (i64, u64) = (-1_799_999_999, 3_600_000_000);

impl Reader<'_> {
    fn latitude(&mut self) -> Read<i32> {
        let (low, span) = LATITUDE;
        Ok((low + self.up_to(31, span)? as i64) as i32)
    }

    fn longitude(&mut self) -> Read<i32> {
        let (low, span) = LONGITUDE;
        Ok((low + self.up_to(32, span)? as i64) as i32)
    }

    pub(super) fn position_3d(&mut self) -> Read<Position3D> {
        let has_elevation = self.bit()?;
        Ok(Position3D {
            lat: self.latitude()?,
            long: self.longitude()?,
            elevation: match has_elevation {
                true => Some(self.bits(16)? as i32 - 4096),
                false => None,
            },
        })
    }

    pub(super) fn positional_accuracy(&mut self) -> Read<PositionalAccuracy> {
        Ok(PositionalAccuracy {
            semi_major: self.bits(8)? as u8,
            semi_minor: self.bits(8)? as u8,
            orientation: self.bits(16)? as u16,
        })
    }

    /// The horizontal part of a `PositionConfidenceSet`.
    pub(super) fn position_confidence(&mut self) -> Read<PositionConfidence> {
        let has_elevation = self.bit()?;
        let horizontal = confidence(self.bits(4)?);
        if has_elevation {
            self.bits(4)?;
        }
        Ok(horizontal)
    }

    /// The horizontal part of a `PositionOffsetLLV`.
    pub(super) fn position_offset(&mut self) -> Read<PositionOffsetLl> {
        let has_vertical = self.bit()?;
        let horizontal = match self.up_to(3, 6)? {
            0 => {
                let (lon, lat) = self.offset_pair(12)?;
                let (lon, lat) = (lon as i16, lat as i16);
                PositionOffsetLl::PositionLl1(PositionLl24B { lon, lat })
            }
            1 => {
                let (lon, lat) = self.offset_pair(14)?;
                let (lon, lat) = (lon as i16, lat as i16);
                PositionOffsetLl::PositionLl2(PositionLl28B { lon, lat })
            }
            2 => {
                let (lon, lat) = self.offset_pair(16)?;
                let (lon, lat) = (lon as i16, lat as i16);
                PositionOffsetLl::PositionLl3(PositionLl32B { lon, lat })
            }
            3 => {
                let (lon, lat) = self.offset_pair(18)?;
                PositionOffsetLl::PositionLl4(PositionLl36B { lon, lat })
            }
            4 => {
                let (lon, lat) = self.offset_pair(22)?;
                PositionOffsetLl::PositionLl5(PositionLl44B { lon, lat })
            }
            5 => {
                let (lon, lat) = self.offset_pair(24)?;
                PositionOffsetLl::PositionLl6(PositionLl48B { lon, lat })
            }
            _ => PositionOffsetLl::PositionLatLon(PositionLlmD64b {
                lon: self.longitude()?,
                lat: self.latitude()?,
            }),
        };
        if has_vertical {
            // Offsets of 7 to 12 bits, or an elevation of 16.
            let width = match self.up_to(3, 6)? {
                6 => 16,
                index => 7 + index as u32,
            };
            self.bits(width)?;
        }
        Ok(horizontal)
    }

    /// Longitude and latitude as signed steps of `width` bits each.
    fn offset_pair(&mut self, width: u32) -> Read<(i32, i32)> {
        let pair = self.bits(2 * width)?;
        let half = 1 << (width - 1);
        let (lon, lat) = (pair >> width, pair & ((1 << width) - 1));
        Ok((lon as i32 - half, lat as i32 - half))
    }

    pub(super) fn heading(&mut self) -> Read<u16> {
        Ok(self.up_to(15, 28_800)? as u16)
    }

    pub(super) fn skip_steering_angle(&mut self) -> Read<()> {
        self.up_to(8, 253)?;
        Ok(())
    }

    pub(super) fn skip_motion_confidence(&mut self) -> Read<()> {
        let [speed, heading, steering] = self.presence()?;
        self.skip(3 * usize::from(speed) + 3 * usize::from(heading) + 2 * usize::from(steering))?;
        Ok(())
    }

    pub(super) fn skip_acceleration(&mut self) -> Read<()> {
        self.up_to(12, 4001)?;
        self.up_to(12, 4001)?;
        self.up_to(8, 254)?;
        self.up_to(16, 65_534)?;
        Ok(())
    }

    pub(super) fn skip_vehicle_size(&mut self) -> Read<()> {
        let height = if self.bit()? { 7 } else { 0 };
        self.skip(10 + 12 + height)?;
        Ok(())
    }

    pub(super) fn skip_vehicle_class(&mut self) -> Read<()> {
        self.no_extension()?;
        let fuel = if self.bit()? { 4 } else { 0 };
        self.skip(8 + fuel)?;
        Ok(())
    }

    /// Which of `N` optional members are there.
    #[inline]
    pub(super) fn presence<const N: usize>(&mut self) -> Read<[bool; N]> {
        let bits = self.bits(N as u32)?;
        Ok(std::array::from_fn(|index| {
            bits >> (N - 1 - index) & 1 == 1
        }))
    }
}

/// The confidence behind an index of four bits.
fn confidence(index: u64) -> PositionConfidence {
    use PositionConfidence::{
        A1cm, A1m, A2cm, A2m, A5cm, A5m, A10cm, A10m, A20cm, A20m, A50cm, A50m, A100m, A200m,
        A500m, Unavailable,
    };
    const BY_INDEX: [PositionConfidence; 16] = [
        Unavailable,
        A500m,
        A200m,
        A100m,
        A50m,
        A20m,
        A10m,
        A5m,
        A2m,
        A1m,
        A50cm,
        A20cm,
        A10cm,
        A5cm,
        A2cm,
        A1cm,
    ];
    BY_INDEX[(index & 15) as usize]
}
