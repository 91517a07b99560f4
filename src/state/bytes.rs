//! Reading and writing the versioned bytes of snapshots and profile files: little-endian, every
//! length checked before anything is allocated.

use crate::network::NetworkVersion;

/// Why bytes could not be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes do not begin with the expected magic.
    #[error("not a {expected} (magic differs)")]
    Magic {
        /// What was expected.
        expected: &'static str,
    },
    /// The format version is unknown.
    #[error("{what} has format version {found}, this program reads {known}")]
    Version {
        /// What was read.
        what: &'static str,
        /// Version in the bytes.
        found: u16,
        /// Version this program writes.
        known: u16,
    },
    /// The bytes belong to another network.
    #[error("made for network {found}, this is network {expected}")]
    Network {
        /// Version in the bytes.
        found: NetworkVersion,
        /// Version of the network in use.
        expected: NetworkVersion,
    },
    /// The bytes end early, are too long, or hold a value out of range.
    #[error("{what} is damaged at byte {at}")]
    Damaged {
        /// What was read.
        what: &'static str,
        /// Offset of the problem, bytes.
        at: usize,
    },
}

/// Appends the head: eight bytes of magic, format version, network version.
pub(super) fn put_head(out: &mut Vec<u8>, magic: &[u8; 8], version: u16, network: NetworkVersion) {
    out.extend_from_slice(magic);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&network.0);
}

macro_rules! number {
    ($put:ident, $put_all:ident, $take:ident, $take_all:ident, $type:ty) => {
        #[allow(dead_code, reason = "not every number comes alone")]
        pub(super) fn $put(out: &mut Vec<u8>, value: $type) {
            out.extend_from_slice(&value.to_le_bytes());
        }

        #[allow(dead_code, reason = "not every number comes in rows")]
        pub(super) fn $put_all(out: &mut Vec<u8>, values: &[$type]) {
            put_u64(out, values.len() as u64);
            for value in values {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }

        impl Reader<'_> {
            pub(super) fn $take(&mut self) -> Result<$type, SnapshotError> {
                const SIZE: usize = std::mem::size_of::<$type>();
                let mut raw = [0u8; SIZE];
                raw.copy_from_slice(self.take(SIZE)?);
                Ok(<$type>::from_le_bytes(raw))
            }

            /// Reads a row into `into`, which already has the expected length.
            #[allow(dead_code, reason = "not every number comes in rows")]
            pub(super) fn $take_all(&mut self, into: &mut [$type]) -> Result<(), SnapshotError> {
                if self.take_u64()? != into.len() as u64 {
                    return Err(self.damaged());
                }
                for value in into {
                    *value = self.$take()?;
                }
                Ok(())
            }
        }
    };
}

number!(put_u8, put_u8_all, take_u8, take_u8_all, u8);
number!(put_u16, put_u16_all, take_u16, take_u16_all, u16);
number!(put_u32, put_u32_all, take_u32, take_u32_all, u32);
number!(put_u64, put_u64_all, take_u64, take_u64_all, u64);
number!(put_i64, put_i64_all, take_i64, take_i64_all, i64);
number!(put_f32, put_f32_all, take_f32, take_f32_all, f32);
number!(put_f64, put_f64_all, take_f64, take_f64_all, f64);

/// Reads what the `put` functions wrote.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Starts after the head, which must match.
    pub(super) fn open(
        bytes: &'a [u8],
        what: &'static str,
        magic: &[u8; 8],
        version: u16,
        network: NetworkVersion,
    ) -> Result<Self, SnapshotError> {
        let mut reader = Self { bytes, at: 0, what };
        if bytes.get(..8) != Some(magic.as_slice()) {
            return Err(SnapshotError::Magic { expected: what });
        }
        reader.at = 8;
        let found = reader.take_u16()?;
        if found != version {
            return Err(SnapshotError::Version {
                what,
                found,
                known: version,
            });
        }
        let mut hash = [0u8; 32];
        hash.copy_from_slice(reader.take(32)?);
        if hash != network.0 {
            return Err(SnapshotError::Network {
                found: NetworkVersion(hash),
                expected: network,
            });
        }
        Ok(reader)
    }

    pub(super) fn damaged(&self) -> SnapshotError {
        SnapshotError::Damaged {
            what: self.what,
            at: self.at,
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], SnapshotError> {
        let end = self.at.checked_add(count).ok_or_else(|| self.damaged())?;
        let taken = self.bytes.get(self.at..end).ok_or_else(|| self.damaged())?;
        self.at = end;
        Ok(taken)
    }

    /// Reads a count of items of at least `item_bytes` each that still fit into the bytes.
    pub(super) fn take_count(&mut self, item_bytes: usize) -> Result<usize, SnapshotError> {
        let count = self.take_u64()?;
        let left = (self.bytes.len() - self.at) / item_bytes.max(1);
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= left)
            .ok_or_else(|| self.damaged())
    }

    /// Reads a length and that many bytes.
    pub(super) fn take_bytes(&mut self) -> Result<&'a [u8], SnapshotError> {
        let count = self.take_count(1)?;
        self.take(count)
    }

    /// Reads a number that must be finite.
    pub(super) fn take_finite(&mut self) -> Result<f32, SnapshotError> {
        let value = self.take_f32()?;
        value
            .is_finite()
            .then_some(value)
            .ok_or_else(|| self.damaged())
    }

    /// Reads a row of numbers that must be finite.
    pub(super) fn take_finite_all(&mut self, into: &mut [f32]) -> Result<(), SnapshotError> {
        self.take_f32_all(into)?;
        if into.iter().all(|value| value.is_finite()) {
            Ok(())
        } else {
            Err(self.damaged())
        }
    }

    /// Ends reading; nothing may be left over.
    pub(super) fn finish(self) -> Result<(), SnapshotError> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.damaged())
        }
    }
}
