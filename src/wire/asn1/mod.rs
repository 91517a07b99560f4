//! ASN.1 message types, one module a dialect, and their JSON. Which dialect a unit speaks is
//! configuration and never guessed.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

mod codec;
pub mod csae;
pub mod csae2019;
pub mod csae2020;
#[cfg(test)]
pub(crate) mod drawn;
pub mod json;
#[cfg(test)]
mod tests;
pub(crate) mod uper;

/// Which release of T/CSAE 53 a source speaks. BSM, RSM and SPAT are (nearly) alike on the wire;
/// RSI and MAP are not, and do not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// T/CSAE 53 in its 2019 release (`2019`).
    Csae2019,
    /// T/CSAE 53-2020 (YD/T 3709-2020) with T/CSAE 157 (`2020`).
    Csae2020,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 2] = [Self::Csae2019, Self::Csae2020];

    /// The word for this dialect in configuration and on the command line.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Csae2019 => "2019",
            Self::Csae2020 => "2020",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A dialect nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown dialect `{0}`: use 2019 or 2020")]
pub struct UnknownDialect(String);

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(label: &str) -> Result<Self, UnknownDialect> {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.label() == label)
            .ok_or_else(|| UnknownDialect(label.to_owned()))
    }
}

/// Why bytes are not one message frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The bytes end inside the frame.
    #[error("truncated: the frame breaks off")]
    Truncated,
    /// The bytes are not a frame of this message set.
    #[error("malformed: not a message frame of this dialect")]
    Malformed,
    /// A member is outside the range the message set allows.
    #[error("out_of_range: a member is outside its range")]
    OutOfRange,
    /// The frame holds an extension that this dialect does not know.
    #[error("unknown_extension: the frame holds an extension that this dialect does not know")]
    UnknownExtension,
    /// The bits that fill the last octet are not zero.
    #[error("padding: the bits behind the frame are not zero")]
    Padding,
    /// Bytes are left over behind the frame.
    #[error("trailing_bytes: bytes follow the frame")]
    TrailingBytes,
}

/// Why a frame cannot be written: a member is outside its range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("out_of_range: {0}")]
pub struct EncodeError(String);
