//! Reading recordings: one segment from any reader, or a whole recording from its path.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::format::{self, BLOCK_HEADER_BYTES, HEADER_BYTES, MAX_BLOCK_BYTES};
use super::{Entry, RecordingError, at};

/// Extension of segment files.
pub(super) const EXTENSION: &str = "rcrec";
/// Buffer of a file being read, bytes; chosen, one block.
const READ_BUFFER_BYTES: usize = 1 << 20;

/// Where and why reading a segment stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Offset of the first byte that could not be used.
    pub offset: u64,
    /// What was wrong with the block there.
    pub what: &'static str,
}

/// Reads one segment, block by block.
#[derive(Debug)]
pub struct SegmentReader<R> {
    input: R,
    topics: Vec<Arc<str>>,
    sequence: u64,
    offset: u64,
    torn: Option<TornTail>,
    ended: bool,
}

impl<R: Read> SegmentReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// The input cannot be read, is no recording, or is of another version.
    pub fn new(mut input: R) -> Result<Self, RecordingError> {
        let mut header = [0; HEADER_BYTES];
        if read_up_to(&mut input, &mut header)? < HEADER_BYTES {
            return Err(RecordingError::NotARecording);
        }
        let sequence = format::parse_header(&header)?;
        Ok(Self {
            input,
            topics: Vec::new(),
            sequence,
            offset: HEADER_BYTES as u64,
            torn: None,
            ended: false,
        })
    }

    /// Sequence number of the next message.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Offset of the next block in bytes from the start of the segment.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the segment is torn, known once [`Self::next_block`] returned `false`.
    pub fn torn_tail(&self) -> Option<TornTail> {
        self.torn
    }

    /// Appends the entries of the next block to `out`; `false` at the end, also at a torn one.
    ///
    /// # Errors
    ///
    /// The input cannot be read, or a block that passes its checksum is malformed.
    pub fn next_block(&mut self, out: &mut Vec<Entry>) -> Result<bool, RecordingError> {
        if self.ended {
            return Ok(false);
        }
        let Some(body) = self.next_body()? else {
            self.ended = true;
            return Ok(false);
        };
        let offset = self.offset;
        let malformed = |what| RecordingError::Malformed { offset, what };
        let count = format::decode_body(&body, &mut self.topics, out).map_err(malformed)?;
        let sequence = self.sequence.checked_add(count);
        self.sequence = sequence.ok_or_else(|| malformed("sequence numbers overflow"))?;
        self.offset += (BLOCK_HEADER_BYTES + body.len()) as u64;
        Ok(true)
    }

    fn next_body(&mut self) -> Result<Option<Bytes>, RecordingError> {
        let mut header = [0; BLOCK_HEADER_BYTES];
        match read_up_to(&mut self.input, &mut header)? {
            0 => return Ok(None),
            BLOCK_HEADER_BYTES => {}
            _ => return Ok(self.tear("block header is short")),
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > MAX_BLOCK_BYTES {
            return Ok(self.tear("block is longer than the limit"));
        }
        let mut body = Vec::with_capacity(length);
        (&mut self.input)
            .take(length as u64)
            .read_to_end(&mut body)?;
        if body.len() < length {
            return Ok(self.tear("block is short"));
        }
        if format::checksum(&body) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Ok(self.tear("checksum differs"));
        }
        Ok(Some(Bytes::from(body)))
    }

    fn tear(&mut self, what: &'static str) -> Option<Bytes> {
        self.torn = Some(TornTail {
            offset: self.offset,
            what,
        });
        None
    }
}

/// A recording on disk: a single file, or a directory of segments read one after the other.
#[derive(Debug)]
pub struct Recording {
    segments: std::vec::IntoIter<PathBuf>,
    current: Option<(PathBuf, SegmentReader<BufReader<File>>)>,
    sequence: u64,
    skip_to: u64,
    torn: Vec<(PathBuf, TornTail)>,
}

impl Recording {
    /// Opens the recording at `path` from its first message.
    ///
    /// # Errors
    ///
    /// Nothing readable is there, or it is no recording.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::open_at(path, 0)
    }

    /// Opens the recording at `path`; messages before number `sequence` are skipped.
    ///
    /// # Errors
    ///
    /// Nothing readable is there, or it is no recording, or it begins behind `sequence`
    /// (`sequence` 0 means wherever it begins).
    pub fn open_at(path: &Path, sequence: u64) -> Result<Self, RecordingError> {
        let mut paths = if path.is_dir() {
            segment_paths(path)?
        } else {
            vec![path.to_path_buf()]
        };
        // Whole segments before the one that holds `sequence` need not be read.
        let mut first = 0;
        for (index, path) in paths.iter().enumerate().skip(1) {
            if open_segment(path)?.sequence() > sequence {
                break;
            }
            first = index;
        }
        let mut segments = paths.split_off(first).into_iter();
        let current = match segments.next() {
            Some(path) => {
                let reader = open_segment(&path)?;
                Some((path, reader))
            }
            None => None,
        };
        let begins = current.as_ref().map_or(0, |(_, reader)| reader.sequence());
        if sequence != 0 && begins > sequence {
            return Err(RecordingError::Gap {
                expected: sequence,
                found: begins,
            });
        }
        Ok(Self {
            segments,
            current,
            sequence: begins,
            skip_to: sequence,
            torn: Vec::new(),
        })
    }

    /// Sequence number behind the last message returned, which is that of the next one.
    pub fn sequence(&self) -> u64 {
        self.sequence.max(self.skip_to)
    }

    /// Segments found torn so far, with the place.
    pub fn torn_tails(&self) -> &[(PathBuf, TornTail)] {
        &self.torn
    }

    /// Appends the next messages to `out`; `false` when there are no more.
    ///
    /// # Errors
    ///
    /// A segment cannot be read or is malformed, or messages are missing between two segments.
    pub fn next_block(&mut self, out: &mut Vec<Entry>) -> Result<bool, RecordingError> {
        while let Some((path, reader)) = &mut self.current {
            let before = out.len();
            let first = reader.sequence();
            if reader.next_block(out)? {
                self.sequence = reader.sequence();
                let skipped = self.skip_to.saturating_sub(first) as usize;
                let end = out.len().min(before + skipped);
                out.drain(before..end);
                if out.len() > before {
                    return Ok(true);
                }
                continue;
            }
            if let Some(torn) = reader.torn_tail() {
                self.torn.push((std::mem::take(path), torn));
            }
            self.current = match self.segments.next() {
                Some(path) => {
                    let reader = open_segment(&path)?;
                    if reader.sequence() != self.sequence {
                        return Err(RecordingError::Gap {
                            expected: self.sequence,
                            found: reader.sequence(),
                        });
                    }
                    Some((path, reader))
                }
                None => None,
            };
        }
        Ok(false)
    }
}

/// The segments of a directory in order.
pub(super) fn segment_paths(directory: &Path) -> Result<Vec<PathBuf>, RecordingError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(at(directory))? {
        let path = entry.map_err(at(directory))?.path();
        if path.extension().is_some_and(|found| found == EXTENSION) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Opens one segment file.
pub(super) fn open_segment(path: &Path) -> Result<SegmentReader<BufReader<File>>, RecordingError> {
    let file = File::open(path).map_err(at(path))?;
    let reader = SegmentReader::new(BufReader::with_capacity(READ_BUFFER_BYTES, file))?;
    Ok(reader)
}

/// Reads until `buffer` is full or the input ends; returns how much was read.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize, RecordingError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}
