//! How many messages a device may send: a cap for every device, and limits by kind for units that
//! were told them (`upLimit`).
//!
//! Token buckets on times of receipt, so that the same messages are let in on every run. What is
//! refused is refused whole and before decoding: a device that floods costs a look at its topic, and
//! no other device waits for it. It knows devices by a hash, and forgets them when their bucket is
//! full again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bytes::{put_u64, take_u64};
use crate::observation::UplinkKind;
use crate::units::{SubjectId, Timestamp};

/// Most devices that may owe messages at a time. Beyond, messages of further devices are refused and
/// counted ([`Gate::crowded`]): at the default rate so many would have to flood at once.
pub const BUCKETS_MAX: usize = 1 << 16;

/// Buckets before full ones are first looked for; chosen.
const BUCKETS_MIN: usize = 1_024;

/// Pause between two searches for full buckets while the table is full, ms; chosen.
const SEARCH_PAUSE_MS: i64 = 1_000;

/// What one message takes out of a bucket: buckets count in thousandths, so that a rate a second is
/// what flows in each millisecond.
const MESSAGE: i64 = 1_000;

/// Settings of the [`Gate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateSettings {
    /// Most messages a second of one device over time; 0 for no cap.
    pub messages_per_second_max: u32,
    /// Messages that a device may send at once after a pause, at least 1.
    pub burst_messages: u32,
    /// Most messages a second by kind, in the order of [`UplinkKind::ALL`], of units that were told
    /// so; twice a second's messages may come at once, as a network bunches them.
    pub limits: BTreeMap<Arc<str>, [Option<u32>; UplinkKind::ALL.len()]>,
}

impl GateSettings {
    /// Lets everything in.
    pub fn open() -> Self {
        Self {
            messages_per_second_max: 0,
            burst_messages: 1,
            limits: BTreeMap::new(),
        }
    }
}

impl Default for GateSettings {
    /// Chosen: 200 a second, twice ten kinds of messages at the 10 Hz of T/CSAE 53; 2 000 at once,
    /// what a unit with ten kinds at 10 Hz has kept over 20 s without connection.
    fn default() -> Self {
        Self {
            messages_per_second_max: 200,
            burst_messages: 2_000,
            limits: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    /// When it was last looked at.
    at: Timestamp,
    /// Thousandths of messages in it then.
    level: i64,
    /// What flows in, messages a second.
    per_second: u32,
    /// What it holds, messages.
    capacity: u32,
}

impl Bucket {
    fn full(at: Timestamp, per_second: u32, capacity: u32) -> Self {
        Self {
            at,
            level: i64::from(capacity) * MESSAGE,
            per_second,
            capacity,
        }
    }

    fn level_at(&self, at: Timestamp) -> i64 {
        let elapsed_ms = at.millis_since(self.at).max(0);
        let inflow = elapsed_ms.saturating_mul(i64::from(self.per_second));
        let most = i64::from(self.capacity) * MESSAGE;
        self.level.saturating_add(inflow).min(most)
    }

    fn is_full(&self, at: Timestamp) -> bool {
        self.level_at(at) == i64::from(self.capacity) * MESSAGE
    }

    fn admit(&mut self, at: Timestamp) -> bool {
        self.level = self.level_at(at);
        self.at = self.at.max(at);
        let is_admitted = self.level >= MESSAGE;
        if is_admitted {
            self.level -= MESSAGE;
        }
        is_admitted
    }
}

/// Lets messages of devices in, or refuses them.
///
/// Invariant: it holds at most [`BUCKETS_MAX`] buckets, and what it lets in depends only on the
/// messages, their order and their times of receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    settings: GateSettings,
    buckets: BTreeMap<u64, Bucket>,
    /// Buckets at which full ones are looked for next.
    search_at: usize,
    searched_at: Timestamp,
    crowded: u64,
}

impl Gate {
    /// A gate that has seen nothing.
    pub fn new(settings: GateSettings) -> Self {
        Self {
            settings,
            buckets: BTreeMap::new(),
            search_at: BUCKETS_MIN,
            searched_at: Timestamp::MIN,
            crowded: 0,
        }
    }

    /// Whether one more message of `kind` from `device`, received at `at`, is let in; it is counted
    /// if so.
    ///
    /// `device` may be a road user; `named` turns the hash of its name into what may be kept.
    pub fn admit(
        &mut self,
        at: Timestamp,
        device: &str,
        kind: UplinkKind,
        named: impl FnOnce(SubjectId) -> SubjectId,
    ) -> bool {
        let GateSettings {
            messages_per_second_max: per_second,
            burst_messages: burst,
            ..
        } = self.settings;
        let limits = self.settings.limits.get(device);
        let limit = limits.and_then(|limits| limits[kind as usize]);
        let SubjectId(name) = named(SubjectId(hash(device.as_bytes())));
        if per_second > 0 && !self.take(at, name, per_second, burst) {
            return false;
        }
        match limit {
            Some(0) => false,
            Some(limit) => {
                let of_kind = name ^ (kind as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                self.take(at, of_kind, limit, limit.saturating_mul(2))
            }
            None => true,
        }
    }

    fn take(&mut self, at: Timestamp, name: u64, per_second: u32, capacity: u32) -> bool {
        if let Some(bucket) = self.buckets.get_mut(&name) {
            return bucket.admit(at);
        }
        if self.buckets.len() >= self.search_at && !self.forget_full(at) {
            self.crowded += 1;
            return false;
        }
        let mut bucket = Bucket::full(at, per_second, capacity);
        let is_admitted = bucket.admit(at);
        self.buckets.insert(name, bucket);
        is_admitted
    }

    /// Forgets full buckets, which say no more than none; `false` where there is room for no other.
    fn forget_full(&mut self, at: Timestamp) -> bool {
        let is_at_most = self.search_at >= BUCKETS_MAX;
        if is_at_most && at.millis_since(self.searched_at) < SEARCH_PAUSE_MS {
            return self.buckets.len() < BUCKETS_MAX;
        }
        self.searched_at = at;
        self.buckets.retain(|_, bucket| !bucket.is_full(at));
        let next = self.buckets.len().saturating_mul(2);
        self.search_at = next.clamp(BUCKETS_MIN, BUCKETS_MAX);
        self.buckets.len() < BUCKETS_MAX
    }

    /// Messages refused because [`BUCKETS_MAX`] devices owed some.
    pub fn crowded(&self) -> u64 {
        self.crowded
    }

    /// Appends what must survive a restart.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        for value in [
            self.crowded,
            self.search_at as u64,
            self.searched_at.as_millis() as u64,
            self.buckets.len() as u64,
        ] {
            put_u64(value, out);
        }
        for (name, bucket) in &self.buckets {
            for value in [
                *name,
                bucket.at.as_millis() as u64,
                bucket.level as u64,
                u64::from(bucket.per_second) << 32 | u64::from(bucket.capacity),
            ] {
                put_u64(value, out);
            }
        }
    }

    /// Takes back what [`Gate::snapshot`] wrote, and leaves `bytes` behind it; `None` when they are
    /// broken.
    #[must_use]
    pub fn restore(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.crowded = take_u64(bytes)?;
        let search_at = usize::try_from(take_u64(bytes)?).ok()?;
        self.search_at = search_at.clamp(BUCKETS_MIN, BUCKETS_MAX);
        self.searched_at = Timestamp::from_millis(take_u64(bytes)? as i64);
        let count = take_u64(bytes)?;
        self.buckets.clear();
        for _ in 0..count {
            let name = take_u64(bytes)?;
            let at = Timestamp::from_millis(take_u64(bytes)? as i64);
            let level = take_u64(bytes)? as i64;
            let rates = take_u64(bytes)?;
            let bucket = Bucket {
                at,
                level,
                per_second: (rates >> 32) as u32,
                capacity: rates as u32,
            };
            self.buckets.insert(name, bucket);
        }
        Some(())
    }
}

/// FNV-1a (Fowler, Noll, Vo): the same on every machine. Names are not secret here; a device that
/// chose its name to fall together with another's could as well use the other's name.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn gate(messages_per_second_max: u32, burst_messages: u32) -> Gate {
        Gate::new(GateSettings {
            messages_per_second_max,
            burst_messages,
            limits: BTreeMap::new(),
        })
    }

    fn as_it_is(device: SubjectId) -> SubjectId {
        device
    }

    /// Messages let in out of one each `step_ms` over `duration_ms`.
    fn admitted(gate: &mut Gate, device: &str, step_ms: i64, duration_ms: i64) -> usize {
        (0..duration_ms / step_ms)
            .filter(|step| gate.admit(at(step * step_ms), device, UplinkKind::Rsm, as_it_is))
            .count()
    }

    #[test]
    fn a_flood_is_cut_to_the_rate_and_nobody_else_feels_it() {
        let mut gate = gate(200, 400);
        let mut flooded = 0;
        let mut steady = [0; 20];
        for millis in 0..10_000 {
            // One unit at 5 kHz, twenty at 100 Hz.
            flooded += (0..5)
                .filter(|_| gate.admit(at(millis), "flood", UplinkKind::Rsm, as_it_is))
                .count();
            if millis % 10 == 0 {
                for (unit, count) in steady.iter_mut().enumerate() {
                    let name = format!("steady{unit}");
                    *count += usize::from(gate.admit(at(millis), &name, UplinkKind::Rsm, as_it_is));
                }
            }
        }
        assert_eq!(steady, [1_000; 20]);
        // The burst, and what flows in over 10 s.
        assert!((2_390..=2_400).contains(&flooded), "{flooded}");
    }

    #[test]
    fn no_cap_lets_everything_in() {
        assert_eq!(admitted(&mut gate(0, 1), "a", 1, 5_000), 5_000);
    }

    #[test]
    fn limits_hold_by_kind_and_only_for_the_unit() {
        let mut limits = [None; UplinkKind::ALL.len()];
        limits[UplinkKind::Rsm as usize] = Some(10);
        limits[UplinkKind::Bsm as usize] = Some(0);
        let mut settings = GateSettings::default();
        settings.limits.insert("R1".into(), limits);
        let mut gate = Gate::new(settings);
        // 10 Hz, bunched by twos, is no excess.
        for step in 0..100 {
            let time = at(step / 2 * 200);
            assert!(
                gate.admit(time, "R1", UplinkKind::Rsm, as_it_is),
                "message {step}"
            );
        }
        let mut gate = Gate::new(gate.settings.clone());
        let excess = admitted(&mut gate, "R1", 10, 10_000);
        assert!((118..=120).contains(&excess), "{excess}");
        assert!(!gate.admit(at(20_000), "R1", UplinkKind::Bsm, as_it_is));
        assert!(gate.admit(at(20_000), "R1", UplinkKind::Spat, as_it_is));
        assert!(gate.admit(at(20_000), "R2", UplinkKind::Bsm, as_it_is));
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let mut gate = gate(1, 2);
        let mut refused = 0;
        for device in 0..BUCKETS_MAX + 10 {
            let name = device.to_string();
            refused += usize::from(!gate.admit(at(0), &name, UplinkKind::Other, as_it_is));
        }
        assert_eq!(gate.buckets.len(), BUCKETS_MAX);
        assert_eq!((refused, gate.crowded()), (10, 10));
        // Those known go on; a second later all are full again and forgotten.
        assert!(gate.admit(at(0), "7", UplinkKind::Other, as_it_is));
        assert!(gate.admit(at(2_000), "new", UplinkKind::Other, as_it_is));
        assert!(gate.buckets.len() < 10, "{}", gate.buckets.len());
    }

    #[test]
    fn a_restart_changes_nothing() {
        let mut gate = gate(5, 10);
        admitted(&mut gate, "a", 10, 1_500);
        let mut bytes = Vec::new();
        gate.snapshot(&mut bytes);
        let mut back = Gate::new(gate.settings.clone());
        let mut rest = &bytes[..];
        assert_eq!(back.restore(&mut rest), Some(()));
        assert!(rest.is_empty());
        assert_eq!(back, gate);
        let mut cut = &bytes[..bytes.len() - 1];
        assert_eq!(back.restore(&mut cut), None);
    }
}
