//! Snapshot and restore of the congestion room: levels, learnt free flow, diagrams, days.
//!
//! A region is told by its name and how many segments it has: what was learnt of one that has been
//! configured anew since is left behind. So are levels and sums of the day under another standard.

use std::sync::Arc;

use super::super::bytes::{
    Reader, SnapshotError, put_f32, put_f32_all, put_f64, put_head, put_i64, put_u8, put_u8_all,
    put_u16, put_u16_all, put_u32, put_u32_all, put_u64,
};
use super::day::{RegionSums, SlotSums};
use super::{
    CURVE_SLOTS, CongestedSegment, Congestion, CurvePoint, DAYS_MAX, DayReport, LevelMemory, Peak,
    RANKED_MAX, REGIONS_MAX, RegionDay, RegionDiagram,
};
use crate::network::NetworkVersion;
use crate::units::SegmentId;

const MAGIC: &[u8; 8] = b"RCCONGES";
const VERSION: u16 = 1;
const WHAT: &str = "congestion snapshot";

/// Stands for "no day yet" in the bytes.
const NO_DAY: i64 = i64::MIN;

impl Congestion {
    /// Appends everything needed to go on later.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, self.network.version());
        put_u8_all(out, self.standard.as_bytes());
        let levels: Vec<u32> = self.levels.iter().map(|level| level.to_bits()).collect();
        put_u32_all(out, &levels);
        self.free_flow.put(out);
        put_i64(out, self.today.day.unwrap_or(NO_DAY));
        put_f32_all(out, &self.today.delay_vehh);
        put_u16_all(out, &self.today.jammed_minutes);
        put_u8(out, self.settings.regions.len() as u8);
        let memory = self.diagrams.iter().zip(&self.today.regions);
        for (region, (diagram, sums)) in self.settings.regions.iter().zip(memory) {
            put_u8_all(out, region.name.as_bytes());
            put_u32(out, region.segments.len() as u32);
            diagram.put(out);
            put_sums(out, sums);
        }
        put_u8(out, self.days.len() as u8);
        for day in &self.days {
            put_day(out, day);
        }
    }

    /// Goes on where a snapshot stood; settings stay as they are.
    ///
    /// # Errors
    /// When the bytes are not an intact congestion snapshot of this network.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, self.network.version())?;
        let mut restored = Self::new(Arc::clone(&self.network), self.settings.clone());
        let same_standard = take_text(&mut reader)? == self.standard;
        let mut levels = vec![0u32; restored.levels.len()];
        reader.take_u32_all(&mut levels)?;
        for (level, bits) in restored.levels.iter_mut().zip(levels) {
            *level = LevelMemory::from_bits(bits).ok_or_else(|| reader.damaged())?;
        }
        restored.free_flow.take_back(&mut reader)?;
        let day = reader.take_i64()?;
        restored.today.day = (day != NO_DAY).then_some(day);
        reader.take_finite_all(&mut restored.today.delay_vehh)?;
        reader.take_u16_all(&mut restored.today.jammed_minutes)?;
        for _ in 0..reader.take_u8()? {
            let name = take_text(&mut reader)?;
            let segment_count = reader.take_u32()? as usize;
            let diagram = RegionDiagram::take_back(&mut reader)?;
            let sums = take_sums(&mut reader)?;
            let same = |region: &super::Region| {
                region.name == name && region.segments.len() == segment_count
            };
            if let Some(index) = restored.settings.regions.iter().position(same) {
                restored.diagrams[index] = diagram;
                restored.today.regions[index] = sums;
            }
        }
        let day_count = usize::from(reader.take_u8()?);
        if day_count > DAYS_MAX {
            return Err(reader.damaged());
        }
        for _ in 0..day_count {
            let day = take_day(&mut reader, self.network.version())?;
            restored.days.push_back(Arc::new(day));
        }
        reader.finish()?;
        if !same_standard {
            restored.levels.fill(LevelMemory::default());
            restored.today.clear();
        }
        *self = restored;
        Ok(())
    }
}

fn put_sums(out: &mut Vec<u8>, sums: &RegionSums) {
    for slot in &sums.slots {
        put_f32(out, slot.tti);
        put_f32(out, slot.tpi);
        put_u8(out, slot.minutes);
        put_u8(out, slot.tpi_minutes);
    }
    put_u32(out, sums.minutes);
    put_u32(out, sums.flow_minutes);
    for value in [sums.observed_share, sums.flow_share, sums.delay_vehh] {
        put_f64(out, value);
    }
    for km in sums.level_km {
        put_f64(out, km);
    }
    for minutes in sums.band_minutes {
        put_u32(out, minutes);
    }
    put_u16(out, sums.most_jammed.0);
    put_f32(out, sums.most_jammed.1);
    put_u32(out, sums.most_samples);
}

fn take_sums(reader: &mut Reader<'_>) -> Result<RegionSums, SnapshotError> {
    let mut sums = RegionSums::default();
    for slot in &mut sums.slots {
        *slot = SlotSums {
            tti: reader.take_finite()?,
            tpi: reader.take_finite()?,
            minutes: reader.take_u8()?,
            tpi_minutes: reader.take_u8()?,
        };
    }
    sums.minutes = reader.take_u32()?;
    sums.flow_minutes = reader.take_u32()?;
    for value in [
        &mut sums.observed_share,
        &mut sums.flow_share,
        &mut sums.delay_vehh,
    ] {
        *value = take_finite_f64(reader)?;
    }
    for km in &mut sums.level_km {
        *km = take_finite_f64(reader)?;
    }
    for minutes in &mut sums.band_minutes {
        *minutes = reader.take_u32()?;
    }
    sums.most_jammed = (reader.take_u16()?, reader.take_finite()?);
    sums.most_samples = reader.take_u32()?;
    Ok(sums)
}

fn put_day(out: &mut Vec<u8>, day: &DayReport) {
    put_i64(out, day.day);
    put_u8_all(out, day.standard.as_bytes());
    put_u8(out, u8::from(day.is_over));
    put_u8(out, day.regions.len() as u8);
    for region in &day.regions {
        put_u8_all(out, region.region.as_bytes());
        put_u32(out, region.minutes);
        put_f32(out, region.observed_share);
        put_f32(out, region.flow_share);
        for point in &region.curve {
            put_point(out, *point);
        }
        for peak in &region.peaks {
            put_u16(out, peak.map_or(0, |peak| peak.start_minute));
            put_point(out, peak.map(|peak| peak.mean));
        }
        for minutes in region.band_minutes {
            put_u32(out, minutes);
        }
        for km in region.level_km {
            put_f32(out, km);
        }
        let (minute, km) = region.most_jammed.unwrap_or((0, -1.0));
        put_u16(out, minute);
        put_f32(out, km);
        put_f64(out, region.delay_vehh.unwrap_or(-1.0));
        put_u32(out, region.most_samples);
        for ranking in [&region.by_delay, &region.by_time] {
            put_u64(out, ranking.len() as u64);
            for one in ranking {
                put_u32(out, one.segment.0);
                put_f32(out, one.delay_vehh);
                put_u16(out, one.jammed_minutes);
            }
        }
    }
}

fn take_day(reader: &mut Reader<'_>, network: NetworkVersion) -> Result<DayReport, SnapshotError> {
    let day = reader.take_i64()?;
    let standard = take_text(reader)?;
    let is_over = reader.take_u8()? != 0;
    let region_count = usize::from(reader.take_u8()?);
    if region_count > REGIONS_MAX {
        return Err(reader.damaged());
    }
    let mut regions = Vec::with_capacity(region_count);
    for _ in 0..region_count {
        regions.push(take_region_day(reader)?);
    }
    Ok(DayReport {
        day,
        network,
        standard,
        is_over,
        regions,
    })
}

fn take_region_day(reader: &mut Reader<'_>) -> Result<RegionDay, SnapshotError> {
    let region = take_text(reader)?;
    let minutes = reader.take_u32()?;
    let (observed_share, flow_share) = (reader.take_finite()?, reader.take_finite()?);
    let mut curve = Vec::with_capacity(CURVE_SLOTS);
    for _ in 0..CURVE_SLOTS {
        curve.push(take_point(reader)?);
    }
    let mut peaks = [None; 2];
    for peak in &mut peaks {
        let start_minute = reader.take_u16()?;
        *peak = take_point(reader)?.map(|mean| Peak { start_minute, mean });
    }
    let (mut band_minutes, mut level_km) = ([0; 5], [0.0; 5]);
    for minutes in &mut band_minutes {
        *minutes = reader.take_u32()?;
    }
    for km in &mut level_km {
        *km = reader.take_finite()?;
    }
    let (minute, km) = (reader.take_u16()?, reader.take_finite()?);
    let delay_vehh = take_finite_f64(reader)?;
    let most_samples = reader.take_u32()?;
    let mut rankings = [Vec::new(), Vec::new()];
    for ranking in &mut rankings {
        let count = reader.take_count(10)?;
        if count > RANKED_MAX {
            return Err(reader.damaged());
        }
        for _ in 0..count {
            ranking.push(CongestedSegment {
                segment: SegmentId(reader.take_u32()?),
                delay_vehh: reader.take_finite()?,
                jammed_minutes: reader.take_u16()?,
            });
        }
    }
    let [by_delay, by_time] = rankings;
    Ok(RegionDay {
        region,
        minutes,
        observed_share,
        flow_share,
        curve,
        peaks,
        band_minutes,
        level_km,
        most_jammed: (km >= 0.0).then_some((minute, km)),
        delay_vehh: (delay_vehh >= 0.0).then_some(delay_vehh),
        most_samples,
        by_delay,
        by_time,
    })
}

/// Two numbers a point; a negative one stands for none.
fn put_point(out: &mut Vec<u8>, point: Option<CurvePoint>) {
    put_f32(out, point.map_or(-1.0, |point| point.tti));
    put_f32(out, point.and_then(|point| point.tpi).unwrap_or(-1.0));
}

fn take_point(reader: &mut Reader<'_>) -> Result<Option<CurvePoint>, SnapshotError> {
    let (tti, tpi) = (reader.take_finite()?, reader.take_finite()?);
    Ok((tti >= 0.0).then(|| CurvePoint {
        tti,
        tpi: (tpi >= 0.0).then_some(tpi),
    }))
}

fn take_text(reader: &mut Reader<'_>) -> Result<Arc<str>, SnapshotError> {
    let bytes = reader.take_bytes()?;
    let text = std::str::from_utf8(bytes).ok().map(Arc::from);
    text.ok_or_else(|| reader.damaged())
}

fn take_finite_f64(reader: &mut Reader<'_>) -> Result<f64, SnapshotError> {
    let value = reader.take_f64()?;
    value
        .is_finite()
        .then_some(value)
        .ok_or_else(|| reader.damaged())
}
