//! The guide's memory as bytes, for snapshots.

use super::Diversion;
use super::advice::{Guide, GuideError, Jam, Shown};
use super::bytes::{Reader, put_f32, put_i64, put_u32, put_u64};
use super::jam::Persistence;
use crate::network::{Network, NetworkVersion};
use crate::state::Level;

impl Guide {
    /// Appends the guide's memory.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_u32(out, SNAPSHOT_VERSION);
        out.extend_from_slice(&self.network.version().0);
        put_u64(out, self.next_id);
        put_u64(out, self.suppressed_count);
        for (persistence, jam) in self.memory.iter().zip(&self.jam_of) {
            out.push(persistence.against | u8::from(persistence.is_jammed) << 7);
            put_u64(out, *jam);
        }
        put_u32(out, self.jams.len() as u32);
        for jam in self.jams.values() {
            put_u64(out, jam.id);
            put_u32(out, jam.revision);
            put_i64(out, jam.onset.as_millis());
            put_i64(out, jam.emitted_at.as_millis());
            put_f32(out, jam.emitted_length_m);
            put_f32(out, jam.emitted_delay_s);
            out.push(jam.level as u8);
            put_u32(out, jam.head.0);
        }
        put_u32(out, self.shown.len() as u32);
        for shown in self.shown.values() {
            let diversion = &shown.diversion;
            put_u64(out, shown.id);
            put_u32(out, shown.revision);
            put_i64(out, shown.since.as_millis());
            put_i64(out, shown.emitted_at.as_millis());
            put_u64(out, diversion.jam);
            let numbers = [shown.emitted_s[0], shown.emitted_s[1], diversion.main_s];
            for number in numbers
                .into_iter()
                .chain([diversion.alternative_s, diversion.share])
            {
                put_f32(out, number);
            }
            for route in [&diversion.main, &diversion.alternative] {
                put_u32(out, route.len() as u32);
                route.iter().for_each(|id| put_u32(out, id.0));
            }
        }
    }

    /// Takes back what [`Guide::snapshot`] wrote for the same network.
    ///
    /// # Errors
    /// When the bytes are of another version or network, or broken.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), GuideError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u32()?;
        if version != SNAPSHOT_VERSION {
            return Err(GuideError(format!(
                "version {version}, {SNAPSHOT_VERSION} expected"
            )));
        }
        let network = NetworkVersion(reader.take::<32>()?);
        if network != self.network.version() {
            return Err(GuideError(format!("made for network {network}")));
        }
        let mut fresh = Self::new(self.network.clone(), self.settings.clone());
        fresh.next_id = reader.u64()?;
        fresh.suppressed_count = reader.u64()?;
        for index in 0..fresh.memory.len() {
            let [packed] = reader.take::<1>()?;
            fresh.memory[index] = Persistence {
                against: packed & 0x7f,
                is_jammed: packed >= 0x80,
            };
            fresh.jam_of[index] = reader.u64()?;
        }
        for _ in 0..reader.u32()? {
            let jam = Jam {
                id: reader.u64()?,
                revision: reader.u32()?,
                onset: reader.time()?,
                emitted_at: reader.time()?,
                emitted_length_m: reader.f32()?,
                emitted_delay_s: reader.f32()?,
                level: Level::from_code(reader.take::<1>()?[0]),
                head: reader.segment(&fresh.network)?,
            };
            fresh.jams.insert(jam.id, jam);
        }
        for _ in 0..reader.u32()? {
            let shown = read_shown(&mut reader, &fresh.network)?;
            fresh.shown.insert(shown.diversion.jam, shown);
        }
        *self = fresh;
        Ok(())
    }
}

const SNAPSHOT_VERSION: u32 = 1;

fn read_shown(reader: &mut Reader<'_>, network: &Network) -> Result<Shown, GuideError> {
    let (id, revision) = (reader.u64()?, reader.u32()?);
    let (since, emitted_at) = (reader.time()?, reader.time()?);
    let jam = reader.u64()?;
    let emitted_s = [reader.f32()?, reader.f32()?];
    let (main_s, alternative_s, share) = (reader.f32()?, reader.f32()?, reader.f32()?);
    let mut routes = [Vec::new(), Vec::new()];
    for route in &mut routes {
        for _ in 0..reader.u32()? {
            route.push(reader.segment(network)?);
        }
        if route.is_empty() {
            return Err(GuideError("a diversion without a route".into()));
        }
    }
    let [main, alternative] = routes;
    let decision = main[0];
    let diversion = Diversion {
        jam,
        decision,
        main,
        alternative,
        main_s,
        alternative_s,
        share,
    };
    Ok(Shown {
        id,
        revision,
        since,
        emitted_at,
        emitted_s,
        diversion,
    })
}
