//! Kinds of messages that roadside units send up, as far as their rates are told apart.

/// What a unit sends up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum UplinkKind {
    /// Vehicles' own messages that it passes on.
    Bsm,
    /// Events and signs.
    Rsi,
    /// Road users that it perceives.
    Rsm,
    /// Maps.
    Map,
    /// Signal phases.
    Spat,
    /// Everything else: status, and messages whose topic names no kind.
    Other,
}

impl UplinkKind {
    /// Every kind, in order.
    pub const ALL: [Self; 6] = [
        Self::Bsm,
        Self::Rsi,
        Self::Rsm,
        Self::Map,
        Self::Spat,
        Self::Other,
    ];

    /// The word for it in topics, messages and configuration, in small letters.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Bsm => "bsm",
            Self::Rsi => "rsi",
            Self::Rsm => "rsm",
            Self::Map => "map",
            Self::Spat => "spat",
            Self::Other => "other",
        }
    }

    /// The kind that a topic names in one of its levels, between slashes or dots.
    pub fn of_topic(topic: &str) -> Self {
        topic
            .split(['/', '.'])
            .filter(|level| matches!(level.len(), 3 | 4))
            .find_map(|level| {
                let is_it = |kind: &Self| kind.label().eq_ignore_ascii_case(level);
                Self::ALL[..Self::Other as usize]
                    .iter()
                    .copied()
                    .find(is_it)
            })
            .unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_name_kinds() {
        let check = |topic, kind| assert_eq!(UplinkKind::of_topic(topic), kind, "{topic}");
        check("V2X.RSU.RSM.UP", UplinkKind::Rsm);
        check("V2X/RSU/R1/SPAT/UP", UplinkKind::Spat);
        check("v2x/v1/rsu/esn7/bsm/up", UplinkKind::Bsm);
        check("V2X/RSU/HB/UP", UplinkKind::Other);
        check("roadcast/v1/rsu/R1/probe/up", UplinkKind::Other);
    }
}
