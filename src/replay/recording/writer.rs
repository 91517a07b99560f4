//! Writing recordings: framed blocks appended to a file or to rotating segments.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::format::{self, BlockEncoder, HEADER_BYTES};
use super::reader::{EXTENSION, open_segment, segment_paths};
use super::{Entry, RecordingError, at, create_private, create_private_directory};
use crate::observation::RawMessage;
use crate::units::Timestamp;

/// When a segment is closed and how many closed ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// A segment is closed when it exceeds this many bytes.
    pub segment_bytes: u64,
    /// A segment is closed when it spans more than this many milliseconds of engine time.
    pub segment_age_ms: i64,
    /// The oldest closed segments are deleted while all together exceed this many bytes.
    pub retain_bytes: u64,
    /// Closed segments whose newest message is older than this many milliseconds are deleted.
    pub retain_age_ms: i64,
}

impl Default for Rotation {
    /// Chosen: segments of 256 MiB or 10 minutes, 8 GiB or 7 days kept.
    fn default() -> Self {
        Self {
            segment_bytes: 256 << 20,
            segment_age_ms: 600_000,
            retain_bytes: 8 << 30,
            retain_age_ms: 7 * 86_400_000,
        }
    }
}

/// Appends messages to a recording.
///
/// After an error of the file system nothing is lost: what was appended is kept in memory and
/// [`Writer::commit`] tries again.
#[derive(Debug)]
pub struct Writer {
    target: Target,
    file: File,
    path: PathBuf,
    segment_len: u64,
    segment_first: u64,
    segment_started: Option<Timestamp>,
    newest: Timestamp,
    encoder: BlockEncoder,
    framed: Vec<u8>,
    framed_count: u64,
    sequence: u64,
    unsynced: bool,
    expired: Expired,
}

/// Closed segments deleted so far, by what they exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// [`Rotation::retain_age_ms`].
    pub by_age: u64,
    /// [`Rotation::retain_bytes`].
    pub by_size: u64,
}

#[derive(Debug)]
enum Target {
    File,
    Directory {
        path: PathBuf,
        rotation: Rotation,
        closed: VecDeque<Closed>,
        protect_from: u64,
    },
}

#[derive(Debug)]
struct Closed {
    path: PathBuf,
    end: u64,
    bytes: u64,
    newest: Timestamp,
}

impl Writer {
    /// Creates a recording in one file, replacing what was there.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn create(path: &Path) -> Result<Self, RecordingError> {
        let file = start_segment(path, 0)?;
        Ok(Self::new(Target::File, file, path.to_path_buf(), 0))
    }

    /// Continues the recording in `directory` behind its last readable message, in a new segment;
    /// creates the directory when missing.
    ///
    /// # Errors
    ///
    /// The directory or its last segment cannot be read or written.
    pub fn open_dir(directory: &Path, rotation: Rotation) -> Result<Self, RecordingError> {
        create_private_directory(directory).map_err(at(directory))?;
        let mut closed = VecDeque::new();
        let mut sequence = 0;
        for path in segment_paths(directory)? {
            let bytes = fs::metadata(&path).map_err(at(&path))?.len();
            if bytes < HEADER_BYTES as u64 {
                // Its writer was killed between creating it and writing its header.
                fs::remove_file(&path).map_err(at(&path))?;
                continue;
            }
            make_private(&path)?;
            let (first, started) = begin_of(&path)?;
            if let Some(previous) = closed.back_mut() {
                let previous: &mut Closed = previous;
                previous.end = first;
                previous.newest = started;
            }
            closed.push_back(Closed {
                path,
                end: first,
                bytes,
                newest: started,
            });
        }
        if let Some(last) = closed.back_mut() {
            (last.end, last.newest) = end_of(&last.path)?;
            sequence = last.end;
        }
        // An empty segment has the name the next one needs.
        let path = segment_path(directory, sequence);
        closed.retain(|segment| segment.path != path);
        let file = start_segment(&path, sequence)?;
        sync_directory(directory)?;
        let target = Target::Directory {
            path: directory.to_path_buf(),
            rotation,
            closed,
            protect_from: u64::MAX,
        };
        Ok(Self::new(target, file, path, sequence))
    }

    fn new(target: Target, file: File, path: PathBuf, sequence: u64) -> Self {
        Self {
            target,
            file,
            path,
            segment_len: HEADER_BYTES as u64,
            segment_first: sequence,
            segment_started: None,
            newest: Timestamp::MIN,
            encoder: BlockEncoder::default(),
            framed: Vec::new(),
            framed_count: 0,
            sequence,
            unsynced: true,
            expired: Expired::default(),
        }
    }

    /// Segments deleted so far.
    pub fn expired(&self) -> Expired {
        self.expired
    }

    /// Deletes what is too old at `now`, also when nothing arrives any more: a running segment that
    /// spans its time is closed first.
    ///
    /// # Errors
    ///
    /// The file system refused; call again to try again.
    pub fn expire(&mut self, now: Timestamp) -> Result<(), RecordingError> {
        self.commit()?;
        let Target::Directory { rotation, .. } = &self.target else {
            return Ok(());
        };
        let is_old = |started: Timestamp| now.millis_since(started) >= rotation.segment_age_ms;
        if self.segment_started.is_some_and(is_old) && self.sequence > self.segment_first {
            self.rotate()?;
        }
        self.retain(now)?;
        Ok(())
    }

    /// Number of messages before the next one, those of earlier segments included.
    pub fn sequence(&self) -> u64 {
        self.sequence + self.framed_count
    }

    /// Takes one message into memory; [`Self::commit`] writes it.
    ///
    /// # Errors
    ///
    /// The message is larger than a recording can hold; it is not taken.
    pub fn stage(&mut self, now: Timestamp, message: &RawMessage) -> Result<(), RecordingError> {
        self.encoder.push(now, message, &mut self.framed)?;
        self.framed_count += 1;
        self.segment_started.get_or_insert(now);
        self.newest = self.newest.max(now);
        Ok(())
    }

    /// Writes what was staged to the file, without waiting for the disk, and rotates when due.
    ///
    /// # Errors
    ///
    /// The file system refused; call again to try again.
    pub fn commit(&mut self) -> Result<(), RecordingError> {
        self.encoder.close(&mut self.framed);
        if !self.framed.is_empty() {
            if let Err(source) = self.file.write_all(&self.framed) {
                self.forget_partial_write()?;
                return Err(at(&self.path)(source));
            }
            self.segment_len += self.framed.len() as u64;
            self.sequence += self.framed_count;
            self.framed.clear();
            self.framed_count = 0;
            self.unsynced = true;
        }
        self.rotate_if_due()?;
        Ok(())
    }

    /// Stages and commits `entries`.
    ///
    /// # Errors
    ///
    /// A message is too large (it and those behind it are not taken), or the file system refused
    /// (all are taken; [`Self::commit`] tries again).
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), RecordingError> {
        for (now, message) in entries {
            self.stage(*now, message)?;
        }
        self.commit()?;
        Ok(())
    }

    /// Commits, waits until the disk has it, and returns the number of messages that now stand.
    ///
    /// # Errors
    ///
    /// The file system refused. After a failed sync the state of the file is unknown, so a
    /// write-ahead log must stop acknowledging.
    pub fn sync(&mut self) -> Result<u64, RecordingError> {
        self.commit()?;
        if self.unsynced {
            self.file.sync_data().map_err(at(&self.path))?;
            self.unsynced = false;
        }
        Ok(self.sequence)
    }

    /// Keeps every segment that holds message `sequence` or a later one, whatever the retention
    /// says: what a restart from the last snapshot needs.
    pub fn protect_from(&mut self, sequence: u64) {
        if let Target::Directory { protect_from, .. } = &mut self.target {
            *protect_from = sequence;
        }
    }

    fn forget_partial_write(&mut self) -> Result<(), RecordingError> {
        self.file
            .set_len(self.segment_len)
            .map_err(at(&self.path))?;
        self.file
            .seek(SeekFrom::Start(self.segment_len))
            .map_err(at(&self.path))?;
        Ok(())
    }

    fn rotate_if_due(&mut self) -> Result<(), RecordingError> {
        let Target::Directory { rotation, .. } = &self.target else {
            return Ok(());
        };
        let Some(started) = self.segment_started else {
            return Ok(());
        };
        let age_ms = self.newest.millis_since(started);
        if self.sequence == self.segment_first
            || (self.segment_len < rotation.segment_bytes && age_ms < rotation.segment_age_ms)
        {
            return Ok(());
        }
        self.rotate()?;
        self.retain(self.newest)?;
        Ok(())
    }

    /// Closes the running segment, which holds messages, and begins the next.
    fn rotate(&mut self) -> Result<(), RecordingError> {
        let Target::Directory {
            path: directory,
            closed,
            ..
        } = &mut self.target
        else {
            return Ok(());
        };
        self.file.sync_data().map_err(at(&self.path))?;
        let path = segment_path(directory, self.sequence);
        self.file = start_segment(&path, self.sequence)?;
        closed.push_back(Closed {
            path: std::mem::replace(&mut self.path, path),
            end: self.sequence,
            bytes: self.segment_len,
            newest: self.newest,
        });
        self.encoder.start_segment();
        self.segment_first = self.sequence;
        self.segment_len = HEADER_BYTES as u64;
        self.segment_started = None;
        self.unsynced = true;
        sync_directory(directory)?;
        Ok(())
    }

    /// Deletes closed segments that are too old at `now` or too many, oldest first, up to the first
    /// one that a restart needs.
    fn retain(&mut self, now: Timestamp) -> Result<(), RecordingError> {
        let Target::Directory {
            rotation,
            closed,
            protect_from,
            ..
        } = &mut self.target
        else {
            return Ok(());
        };
        let mut bytes: u64 = closed.iter().map(|segment| segment.bytes).sum();
        while let Some(oldest) = closed.front() {
            let is_old = now.millis_since(oldest.newest) > rotation.retain_age_ms;
            let is_surplus = bytes > rotation.retain_bytes;
            if !(is_old || is_surplus) || oldest.end > *protect_from {
                break;
            }
            match fs::remove_file(&oldest.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(at(&oldest.path)(error));
                }
                _ => {}
            }
            if is_old {
                self.expired.by_age += 1;
            } else {
                self.expired.by_size += 1;
            }
            bytes -= oldest.bytes;
            closed.pop_front();
        }
        Ok(())
    }
}

/// First sequence number of a segment and the engine time at which it begins.
fn begin_of(path: &Path) -> Result<(u64, Timestamp), RecordingError> {
    let mut reader = open_segment(path)?;
    let first = reader.sequence();
    let mut entries = Vec::new();
    reader.next_block(&mut entries)?;
    let started = entries.first().map_or(Timestamp::MIN, |(now, _)| *now);
    Ok((first, started))
}

/// Sequence number behind the last readable message of a segment, and its engine time.
fn end_of(path: &Path) -> Result<(u64, Timestamp), RecordingError> {
    let mut reader = open_segment(path)?;
    let mut newest = Timestamp::MIN;
    let mut entries = Vec::new();
    while reader.next_block(&mut entries)? {
        newest = entries.last().map_or(newest, |(now, _)| newest.max(*now));
        entries.clear();
    }
    if let Some(torn) = reader.torn_tail() {
        tracing::warn!(path = %path.display(), offset = torn.offset, reason = torn.what,
            "A segment of the recording is torn; messages behind it were not acknowledged.");
    }
    Ok((reader.sequence(), newest))
}

fn segment_path(directory: &Path, sequence: u64) -> PathBuf {
    directory.join(format!("{sequence:020}.{EXTENSION}"))
}

fn start_segment(path: &Path, sequence: u64) -> Result<File, RecordingError> {
    let mut file = create_private(path).map_err(at(path))?;
    file.write_all(&format::header(sequence))
        .map_err(at(path))?;
    Ok(file)
}

/// Takes from others the right to read a segment of an earlier build.
fn make_private(path: &Path) -> Result<(), RecordingError> {
    use std::os::unix::fs::PermissionsExt;

    let mode = fs::metadata(path).map_err(at(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(path, private).map_err(at(path))?;
    }
    Ok(())
}

/// Makes the names of new segments durable.
fn sync_directory(directory: &Path) -> Result<(), RecordingError> {
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(at(directory))?;
    Ok(())
}
