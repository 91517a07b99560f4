//! What a decoder knows of a payload beside its bytes.

use crate::units::Timestamp;

use super::records::LightCodes;

/// What a decoder knows of a payload beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// When the payload was received; times of a minute or a year resolve against it.
    pub received_at: Timestamp,
    /// The device that the topic names.
    pub device: Option<&'a str>,
    /// Most records used; each one more is refused as `too_many_records`.
    pub records_max: usize,
    /// What codes of signal states mean.
    pub light_codes: &'a LightCodes,
}

impl Context<'_> {
    /// The device of the topic, or the empty name.
    pub(super) fn device_name(&self) -> &str {
        self.device.unwrap_or_default()
    }
}
