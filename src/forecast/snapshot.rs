//! Reading and writing this room's memory as versioned little-endian bytes.

/// Why a snapshot of this room could not be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Another layout than this build writes.
    #[error("forecast snapshot has version {found}, {wanted} wanted")]
    Version {
        /// The version in the bytes.
        found: u32,
        /// The version this build writes.
        wanted: u32,
    },
    /// The bytes end early or hold a length they cannot have.
    #[error("forecast snapshot is cut off or malformed at byte {at}")]
    Malformed {
        /// Where reading stopped.
        at: usize,
    },
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_f32s(out: &mut Vec<u8>, values: &[f32]) {
    put_u32(out, values.len() as u32);
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

pub(super) fn put_i16s(out: &mut Vec<u8>, values: &[i16]) {
    put_u32(out, values.len() as u32);
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

pub(super) fn put_i32s(out: &mut Vec<u8>, values: &[i32]) {
    put_u32(out, values.len() as u32);
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

pub(super) fn put_bytes(out: &mut Vec<u8>, values: &[u8]) {
    put_u32(out, values.len() as u32);
    out.extend_from_slice(values);
}

/// Reads what the `put_` functions wrote.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts after checking the version at the front.
    pub(super) fn new(bytes: &'a [u8], wanted: u32) -> Result<Self, SnapshotError> {
        let mut reader = Self { bytes, at: 0 };
        let found = reader.u32()?;
        if found != wanted {
            return Err(SnapshotError::Version { found, wanted });
        }
        Ok(reader)
    }

    pub(super) fn malformed(&self) -> SnapshotError {
        SnapshotError::Malformed { at: self.at }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], SnapshotError> {
        let end = self.at.checked_add(count).ok_or(self.malformed())?;
        let taken = self.bytes.get(self.at..end).ok_or(self.malformed())?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let at = self.at;
        self.take(N)?
            .try_into()
            .map_err(|_source| SnapshotError::Malformed { at })
    }

    pub(super) fn u32(&mut self) -> Result<u32, SnapshotError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, SnapshotError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn f64(&mut self) -> Result<f64, SnapshotError> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// Reads numbers and refuses any other count than `wanted`.
    pub(super) fn f32s(&mut self, wanted: usize) -> Result<Vec<f32>, SnapshotError> {
        self.numbers(wanted, f32::from_le_bytes)
    }

    /// Reads numbers and refuses any other count than `wanted`.
    pub(super) fn i16s(&mut self, wanted: usize) -> Result<Vec<i16>, SnapshotError> {
        self.numbers(wanted, i16::from_le_bytes)
    }

    /// Reads numbers and refuses any other count than `wanted`.
    pub(super) fn i32s(&mut self, wanted: usize) -> Result<Vec<i32>, SnapshotError> {
        self.numbers(wanted, i32::from_le_bytes)
    }

    fn numbers<const N: usize, T>(
        &mut self,
        wanted: usize,
        from: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, SnapshotError> {
        if self.u32()? as usize != wanted {
            return Err(self.malformed());
        }
        let bytes = self.take(wanted.checked_mul(N).ok_or(self.malformed())?)?;
        Ok(bytes.as_chunks().0.iter().copied().map(from).collect())
    }

    /// Reads bytes, however many.
    pub(super) fn any_bytes(&mut self) -> Result<&'a [u8], SnapshotError> {
        let count = self.u32()? as usize;
        self.take(count)
    }

    /// Reads bytes and refuses any other count than `wanted`.
    pub(super) fn bytes(&mut self, wanted: usize) -> Result<Vec<u8>, SnapshotError> {
        if self.u32()? as usize != wanted {
            return Err(self.malformed());
        }
        Ok(self.take(wanted)?.to_vec())
    }

    /// Refuses bytes that are left over.
    pub(super) fn finish(self) -> Result<(), SnapshotError> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }
}
