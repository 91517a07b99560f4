//! The file of learnt profiles: written beside the snapshots, read at the next start.
//!
//! A snapshot holds the profiles too. The file outlives it: it is what a new recording, another
//! version of roadcast or `roadcast replay --profiles` begins with.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::replay::recording::create_private;
use crate::units::Timestamp;

/// Where profiles are kept, and since when they are as the file has them.
#[derive(Debug)]
pub(super) struct ProfilesFile {
    path: PathBuf,
    /// Closed minutes between two writes.
    every_minutes: i64,
    /// Start of the oldest open minute at the last write, or when the first minute was seen.
    written_at: Option<Timestamp>,
}

impl ProfilesFile {
    /// The file at `path`, written every so many closed minutes; `None` where none is named.
    pub(super) fn new(path: &Path, every_minutes: u32) -> Option<Self> {
        (!path.as_os_str().is_empty()).then(|| Self {
            path: path.to_owned(),
            every_minutes: i64::from(every_minutes),
            written_at: None,
        })
    }

    /// Whether enough minutes have closed since the last write; `open_from` is where the oldest open
    /// minute begins.
    pub(super) fn is_due(&mut self, open_from: Timestamp) -> bool {
        let since = *self.written_at.get_or_insert(open_from);
        open_from.millis_since(since) >= self.every_minutes * crate::state::MINUTE_MS
    }

    /// Replaces the file: whoever reads it finds the old or the new one whole. Where that fails, it
    /// is tried again after the same number of minutes.
    pub(super) fn write(&mut self, open_from: Timestamp, profiles: &[u8]) -> anyhow::Result<()> {
        self.written_at = Some(open_from);
        let place = || format!("state.profiles_file {}", self.path.display());
        let mut unfinished = self.path.clone().into_os_string();
        unfinished.push(".unfinished");
        let mut file = create_private(Path::new(&unfinished)).with_context(place)?;
        file.write_all(profiles).with_context(place)?;
        file.sync_all().with_context(place)?;
        fs::rename(&unfinished, &self.path).with_context(place)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn is_replaced_whole_every_so_many_minutes_and_stays_private() {
        let folder = std::env::temp_dir().join(format!("roadcast-profiles-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("profiles");
        assert!(ProfilesFile::new(Path::new(""), 5).is_none());
        let mut file = ProfilesFile::new(&path, 5).unwrap();
        let at = |minute: i64| Timestamp::from_secs(60 * minute);
        assert!(!file.is_due(at(10)) && !file.is_due(at(14)) && file.is_due(at(15)));
        for (minute, content) in [(15, "learnt"), (20, "more")] {
            file.write(at(minute), content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert!(!file.is_due(at(minute + 4)));
        }
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            1,
            "nothing unfinished stays"
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
