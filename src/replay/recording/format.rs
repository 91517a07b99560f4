//! Bytes of a recording: header, blocks, entries. No files here.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{Entry, RecordingError};
use crate::observation::RawMessage;
use crate::units::{SourceId, Timestamp};

/// First bytes of every segment.
pub(super) const MAGIC: [u8; 8] = *b"roadcast";
/// Version of the format; a reader reads its own version only.
pub(super) const VERSION: u16 = 1;
/// Bytes of the segment header.
pub(super) const HEADER_BYTES: usize = 24;
/// Bytes before the body of a block.
pub(super) const BLOCK_HEADER_BYTES: usize = 8;

/// Largest payload a recording takes, bytes. Chosen: above every transport limit of `ingest`, so
/// that the limit bites there, where it is counted.
pub const MAX_PAYLOAD_BYTES: usize = 8 << 20;
/// Largest block body a reader accepts, bytes: one full block and one payload of the largest size.
pub const MAX_BLOCK_BYTES: usize = MAX_PAYLOAD_BYTES + (2 << 20);
/// A block is closed when its entries exceed this many bytes; chosen so that one checksum covers
/// what one write system call moves.
pub(super) const BLOCK_TARGET_BYTES: usize = 1 << 20;
/// Longest topic, bytes (MQTT strings have a 16-bit length).
pub(super) const MAX_TOPIC_BYTES: usize = u16::MAX as usize;
/// Topics numbered before the numbering starts anew, which bounds memory on both sides.
const MAX_TOPICS: usize = 1 << 18;

/// Flag of a block before which all topic numbers are forgotten.
const FLAG_FORGET_TOPICS: u8 = 1;

/// The header of the segment that begins with message number `first_sequence`.
pub(super) fn header(first_sequence: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[16..].copy_from_slice(&first_sequence.to_le_bytes());
    header
}

/// The first sequence number of a segment, from its header.
pub(super) fn parse_header(header: &[u8; HEADER_BYTES]) -> Result<u64, RecordingError> {
    if header[..8] != MAGIC {
        return Err(RecordingError::NotARecording);
    }
    let found = u16::from_le_bytes([header[8], header[9]]);
    if found != VERSION {
        return Err(RecordingError::Version {
            found,
            expected: VERSION,
        });
    }
    let mut first = [0; 8];
    first.copy_from_slice(&header[16..]);
    Ok(u64::from_le_bytes(first))
}

/// CRC-32 (ISO-HDLC) of `body`.
pub(super) fn checksum(body: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(body);
    crc.sum()
}

/// Collects entries into framed blocks.
#[derive(Debug, Default)]
pub(super) struct BlockEncoder {
    topics: HashMap<Arc<str>, u64>,
    last_topic: Option<(Arc<str>, u64)>,
    new_topics: Vec<u8>,
    new_topic_count: u64,
    forget: bool,
    entries: Vec<u8>,
    entry_count: u64,
    previous_now: i64,
    body: Vec<u8>,
}

impl BlockEncoder {
    /// Starts a segment: no topic is known.
    pub(super) fn start_segment(&mut self) {
        self.topics.clear();
        self.last_topic = None;
        self.forget = false;
    }

    /// Adds one entry; closes the block into `framed` when it is full.
    pub(super) fn push(
        &mut self,
        now: Timestamp,
        message: &RawMessage,
        framed: &mut Vec<u8>,
    ) -> Result<(), RecordingError> {
        limit(message.payload.len(), MAX_PAYLOAD_BYTES)?;
        limit(message.topic.len(), MAX_TOPIC_BYTES)?;
        let topic = self.topic_number(&message.topic, framed);
        let now_ms = now.as_millis();
        let out = &mut self.entries;
        put_signed(out, now_ms.wrapping_sub(self.previous_now));
        put_signed(out, message.received_at.as_millis().wrapping_sub(now_ms));
        put(out, u64::from(message.source.0));
        put(out, topic);
        put(out, message.payload.len() as u64);
        out.extend_from_slice(&message.payload);
        self.previous_now = now_ms;
        self.entry_count += 1;
        if self.entries.len() >= BLOCK_TARGET_BYTES {
            self.close(framed);
        }
        Ok(())
    }

    /// Closes the block, if it holds anything, into `framed`.
    pub(super) fn close(&mut self, framed: &mut Vec<u8>) {
        if self.entry_count == 0 {
            return;
        }
        let body = &mut self.body;
        body.clear();
        body.push(if self.forget { FLAG_FORGET_TOPICS } else { 0 });
        put(body, self.new_topic_count);
        body.extend_from_slice(&self.new_topics);
        put(body, self.entry_count);
        body.extend_from_slice(&self.entries);
        framed.extend_from_slice(&(body.len() as u32).to_le_bytes());
        framed.extend_from_slice(&checksum(body).to_le_bytes());
        framed.extend_from_slice(body);
        self.forget = false;
        self.new_topics.clear();
        self.new_topic_count = 0;
        self.entries.clear();
        self.entry_count = 0;
        self.previous_now = 0;
    }

    fn topic_number(&mut self, topic: &Arc<str>, framed: &mut Vec<u8>) -> u64 {
        if let Some((last, number)) = &self.last_topic
            && Arc::ptr_eq(last, topic)
        {
            return *number;
        }
        let number = match self.topics.get(topic) {
            Some(number) => *number,
            None => {
                if self.topics.len() >= MAX_TOPICS || self.new_topics.len() >= BLOCK_TARGET_BYTES {
                    self.close(framed);
                }
                if self.topics.len() >= MAX_TOPICS {
                    self.topics.clear();
                    self.forget = true;
                }
                let number = self.topics.len() as u64;
                self.topics.insert(Arc::clone(topic), number);
                put(&mut self.new_topics, topic.len() as u64);
                self.new_topics.extend_from_slice(topic.as_bytes());
                self.new_topic_count += 1;
                number
            }
        };
        self.last_topic = Some((Arc::clone(topic), number));
        number
    }
}

/// Decodes the body of a block; `topics` carries the numbering from block to block.
pub(super) fn decode_body(
    body: &Bytes,
    topics: &mut Vec<Arc<str>>,
    out: &mut Vec<Entry>,
) -> Result<u64, &'static str> {
    let mut cursor = Cursor { body, at: 0 };
    let flags = cursor.byte()?;
    if flags & !FLAG_FORGET_TOPICS != 0 {
        return Err("unknown flags");
    }
    if flags & FLAG_FORGET_TOPICS != 0 {
        topics.clear();
    }
    for _ in 0..cursor.number()? {
        if topics.len() >= MAX_TOPICS {
            return Err("too many topics");
        }
        let bytes = cursor.slice()?;
        let topic = std::str::from_utf8(&bytes).map_err(|_utf8| "topic is not UTF-8")?;
        topics.push(Arc::from(topic));
    }
    let count = cursor.number()?;
    let mut previous_now = 0i64;
    for _ in 0..count {
        let now = previous_now.wrapping_add(cursor.signed()?);
        let received = now.wrapping_add(cursor.signed()?);
        let source = u32::try_from(cursor.number()?).map_err(|_range| "source out of range")?;
        let topic = usize::try_from(cursor.number()?)
            .ok()
            .and_then(|number| topics.get(number))
            .ok_or("topic number is unknown")?;
        let payload = cursor.slice()?;
        out.push((
            Timestamp::from_millis(now),
            RawMessage {
                received_at: Timestamp::from_millis(received),
                source: SourceId(source),
                topic: Arc::clone(topic),
                payload,
            },
        ));
        previous_now = now;
    }
    if cursor.at != body.len() {
        return Err("bytes behind the last entry");
    }
    Ok(count)
}

fn limit(bytes: usize, limit: usize) -> Result<(), RecordingError> {
    if bytes > limit {
        return Err(RecordingError::TooLarge { bytes, limit });
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

struct Cursor<'a> {
    body: &'a Bytes,
    at: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Result<u8, &'static str> {
        let byte = *self.body.get(self.at).ok_or("ends inside an entry")?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, &'static str> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("number longer than 64 bits")
    }

    fn signed(&mut self) -> Result<i64, &'static str> {
        let value = self.number()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn slice(&mut self) -> Result<Bytes, &'static str> {
        let length = usize::try_from(self.number()?).map_err(|_range| "length out of range")?;
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.body.len())
            .ok_or("ends inside an entry")?;
        let slice = self.body.slice(self.at..end);
        self.at = end;
        Ok(slice)
    }
}
