//! CONFIG: how many messages of each kind a unit may send up in a second (`upLimit`).

use std::collections::BTreeMap;

use serde_json::json;

use crate::observation::RejectReason;
use crate::units::Timestamp;
use crate::wire::tree::{self, Node};

use super::Kind;

/// Kinds whose rate can be limited, with their member in a CONFIG message.
const LIMITED: [(Kind, &str); 5] = [
    (Kind::Bsm, "bsmConfig"),
    (Kind::Rsi, "rsiConfig"),
    (Kind::Rsm, "rsmConfig"),
    (Kind::Map, "mapConfig"),
    (Kind::Spat, "spatConfig"),
];

/// Most messages a second by kind; a kind that is not there is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UplinkLimits(BTreeMap<Kind, u32>);

impl UplinkLimits {
    /// Limits `kind` to `per_second` messages; 0 stops it.
    #[must_use]
    pub fn with(mut self, kind: Kind, per_second: u32) -> Self {
        self.0.insert(kind, per_second);
        self
    }

    /// The limit of `kind`.
    pub fn get(&self, kind: Kind) -> Option<u32> {
        self.0.get(&kind).copied()
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The limited kinds with their limits, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u32)> + '_ {
        self.0.iter().map(|(kind, limit)| (*kind, *limit))
    }

    /// These limits, and where they have none those of `default`.
    #[must_use]
    pub fn or(&self, default: &Self) -> Self {
        let mut limits = default.clone();
        limits.0.extend(self.iter());
        limits
    }

    /// Writes them as a CONFIG message that the unit is to acknowledge under `sequence`.
    pub fn encode(&self, sequence: u64) -> Vec<u8> {
        let mut message = json!({"seqNum": sequence.to_string(), "ack": true});
        if let Some(members) = message.as_object_mut() {
            for (kind, member) in LIMITED {
                if let Some(limit) = self.get(kind) {
                    members.insert(member.to_owned(), json!({"upLimit": limit}));
                }
            }
        }
        message.to_string().into_bytes()
    }

    /// Reads a CONFIG message: its number and the limits it sets.
    ///
    /// # Errors
    /// The reason for which it is refused.
    pub fn decode(payload: &[u8]) -> Result<(Option<u64>, Self), RejectReason> {
        let value = tree::parse(payload)?;
        let root = Node::new(&value);
        if !root.is_object() {
            return Err(RejectReason::Malformed);
        }
        let mut limits = Self::default();
        for (kind, member) in LIMITED {
            let limit = root
                .get(member)
                .map_or(Ok(None), |part| part.small("up_limit"))?;
            if let Some(limit) = limit {
                limits.0.insert(kind, limit);
            }
        }
        Ok((root.whole("seq_num")?, limits))
    }
}

/// Counts one unit's messages second by second against its limits.
#[derive(Clone, Debug, Default)]
pub struct UplinkMeter {
    limits: UplinkLimits,
    /// The second and the messages admitted in it, by kind.
    seconds: BTreeMap<Kind, (i64, u32)>,
}

impl UplinkMeter {
    /// A meter with no message counted yet.
    pub fn new(limits: UplinkLimits) -> Self {
        Self {
            limits,
            seconds: BTreeMap::new(),
        }
    }

    /// Sets other limits; counting goes on.
    pub fn set_limits(&mut self, limits: UplinkLimits) {
        self.limits = limits;
    }

    /// Whether one more message of `kind` may go at `now`; it is counted if so.
    pub fn admit(&mut self, now: Timestamp, kind: Kind) -> bool {
        let Some(limit) = self.limits.get(kind) else {
            return true;
        };
        let counted = self.seconds.entry(kind).or_default();
        if counted.0 < now.as_secs() {
            *counted = (now.as_secs(), 0);
        }
        let admitted = counted.1 < limit;
        counted.1 += u32::from(admitted);
        admitted
    }
}
