//! What training learnt of the segments' own past, as a file beside the weights: scatter, loadings
//! on the common factors, companion regressions, usual speeds. A running engine reads it for the
//! segments of its network; it learns nothing here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::companion::CompanionRegression;
use super::low_rank::{FACTOR_COUNT, SegmentTraits};
use super::snapshot::{Reader, SnapshotError, put_bytes, put_f32s, put_u32};
use super::{ModelCard, sha256_hex};
use crate::network::{Network, NetworkVersion};
use crate::state::UsualSpeeds;
use crate::units::SegmentId;

const MAGIC: &[u8; 8] = b"RCPAST\0\0";
const VERSION: u32 = 2;
/// Lengths that differ by more than this share are not of the same segment (chosen).
const LENGTH_SHARE: f32 = 0.1;

/// Why a past was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The bytes are not such a file.
    #[error("it is no file of segments' pasts")]
    Foreign,
    /// The bytes are of another layout, cut off or malformed.
    #[error(transparent)]
    Bytes(#[from] SnapshotError),
    /// The bytes are not those that the card was written for.
    #[error("its SHA-256 is {found}, the card says {wanted}")]
    Hash {
        /// Of the bytes given.
        found: String,
        /// In the card, or a word for none.
        wanted: String,
    },
    /// It tells of another network.
    #[error(
        "it tells of {columns} segments, of which {found} are in this network, half are wanted"
    )]
    Strange {
        /// Segments it tells of.
        columns: usize,
        /// Those found in the network.
        found: usize,
    },
}

/// What the past of each column of a series says, one column a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The network whose segments are the columns, in id order, where there is one.
    network: Option<NetworkVersion>,
    columns: Vec<String>,
    /// Length of each segment, m; 0 where unknown.
    length_m: Vec<f32>,
    traits: Vec<SegmentTraits>,
    regression: Arc<CompanionRegression>,
    /// Where the quantity is speed.
    usual: Option<UsualSpeeds>,
}

impl Past {
    pub(super) fn new(
        dataset: &super::Dataset,
        traits: Vec<SegmentTraits>,
        regression: Arc<CompanionRegression>,
        usual: Option<UsualSpeeds>,
    ) -> Self {
        let length_m = |facts: &Option<super::SegmentAttributes>| {
            facts.as_ref().map_or(0.0, |facts| facts.length_m)
        };
        Self {
            network: dataset.network,
            columns: dataset.columns.clone(),
            length_m: dataset.attributes.iter().map(length_m).collect(),
            traits,
            regression,
            usual,
        }
    }

    /// How many segments it tells of.
    pub fn column_count(&self) -> usize {
        self.columns.len()
    }

    /// Of how many the past is long enough to foretell the next hour.
    pub fn foretold_count(&self) -> usize {
        self.regression.known_count()
    }

    /// The column that tells of each segment of `network`. Columns of the same network version stand
    /// for the segments in order. Otherwise a column belongs to the segment of its name, see
    /// [`column_names`], if their lengths, where known, differ by a tenth at most.
    ///
    /// # Errors
    /// When less than half of the columns are found.
    pub fn columns_of(&self, network: &Network) -> Result<Vec<Option<u32>>, PastError> {
        if self.network == Some(network.version()) && self.columns.len() == network.segment_count()
        {
            return Ok((0..self.columns.len() as u32).map(Some).collect());
        }
        let index: BTreeMap<&str, u32> = self.columns.iter().map(String::as_str).zip(0..).collect();
        let names = column_names(network);
        let column_of: Vec<Option<u32>> = names
            .iter()
            .zip(network.segments())
            .map(|(name, segment)| {
                let column = *index.get(name.as_str())?;
                let length_m = self.length_m[column as usize];
                let is_same = length_m <= 0.0
                    || (length_m - segment.length_m).abs() <= LENGTH_SHARE * segment.length_m;
                is_same.then_some(column)
            })
            .collect();
        let found = column_of.iter().flatten().count();
        if found == 0 || 2 * found < self.columns.len() {
            return Err(PastError::Strange {
                columns: self.columns.len(),
                found,
            });
        }
        Ok(column_of)
    }

    /// What is usual on segments, `column_of` each the column that tells of it; `None` where the columns
    /// hold no speeds.
    ///
    /// # Panics
    /// When there is no such column.
    pub fn usual_speeds(&self, column_of: &[Option<u32>]) -> Option<UsualSpeeds> {
        let usual = self.usual.as_ref()?;
        Some(usual.told_by(column_of))
    }

    /// Traits and regressions of segments, `column_of` each the column that tells of it.
    pub(super) fn told_by(
        &self,
        column_of: &[Option<u32>],
    ) -> (Vec<SegmentTraits>, Arc<CompanionRegression>) {
        let traits = column_of.iter().map(|column| match column {
            Some(column) => self.traits[*column as usize],
            None => SegmentTraits::UNKNOWN,
        });
        let is_same = column_of.len() == self.columns.len()
            && column_of
                .iter()
                .zip(0..)
                .all(|(column, at)| *column == Some(at));
        let regression = if is_same {
            Arc::clone(&self.regression)
        } else {
            Arc::new(self.regression.told_by(column_of))
        };
        (traits.collect(), regression)
    }

    /// Writes the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_u32(&mut out, VERSION);
        put_bytes(
            &mut out,
            self.network.as_ref().map_or(&[], |version| &version.0),
        );
        put_u32(&mut out, self.columns.len() as u32);
        for name in &self.columns {
            put_bytes(&mut out, name.as_bytes());
        }
        put_f32s(&mut out, &self.length_m);
        for traits in &self.traits {
            put_f32s(&mut out, &[traits.scatter]);
            put_f32s(&mut out, &traits.loadings);
        }
        self.regression.write(&mut out);
        let usual = self.usual.as_ref().map(UsualSpeeds::to_bytes);
        put_bytes(&mut out, &usual.unwrap_or_default());
        out
    }

    /// Reads the file that `card` names.
    ///
    /// # Errors
    /// When the bytes are not those that the card was written for, or of another layout.
    pub fn of_card(card: &ModelCard, bytes: &[u8]) -> Result<Self, PastError> {
        let found = sha256_hex(bytes);
        match &card.past_sha256 {
            Some(wanted) if *wanted == found => Self::read(bytes),
            wanted => Err(PastError::Hash {
                found,
                wanted: wanted.clone().unwrap_or_else(|| "nothing".to_owned()),
            }),
        }
    }

    /// Reads what [`Past::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another layout, cut off or malformed.
    pub fn read(bytes: &[u8]) -> Result<Self, PastError> {
        let bytes = bytes.strip_prefix(MAGIC).ok_or(PastError::Foreign)?;
        let mut reader = Reader::new(bytes, VERSION)?;
        let network = match reader.any_bytes()? {
            [] => None,
            version => {
                let version = version.try_into();
                let version: [u8; 32] = version.map_err(|_source| reader.malformed())?;
                Some(NetworkVersion(version))
            }
        };
        let count = reader.u32()? as usize;
        let mut columns = Vec::new();
        for _ in 0..count {
            let name = reader.any_bytes()?.to_vec();
            columns.push(String::from_utf8(name).map_err(|_source| reader.malformed())?);
        }
        let length_m = reader.f32s(count)?;
        let mut traits = Vec::new();
        for _ in 0..count {
            let mut one = SegmentTraits::UNKNOWN;
            one.scatter = reader.f32s(1)?[0];
            one.loadings.copy_from_slice(&reader.f32s(FACTOR_COUNT)?);
            if !(one.scatter > 0.0
                && one
                    .loadings
                    .iter()
                    .chain([&one.scatter])
                    .all(|v| v.is_finite()))
            {
                return Err(reader.malformed().into());
            }
            traits.push(one);
        }
        let regression = Arc::new(CompanionRegression::read(&mut reader, count)?);
        let usual = match reader.any_bytes()? {
            [] => None,
            bytes => {
                let read = UsualSpeeds::from_bytes(count, bytes);
                Some(read.ok_or_else(|| reader.malformed())?)
            }
        };
        reader.finish()?;
        Ok(Self {
            network,
            columns,
            length_m,
            traits,
            regression,
            usual,
        })
    }
}

/// Names of a network's segments as columns of a series, each once: what the source calls the road,
/// where it does so once; else with the place in the source's way and the direction, `4711/3+`.
pub fn column_names(network: &Network) -> Vec<String> {
    let mut uses: BTreeMap<String, u32> = BTreeMap::new();
    let source = |id: SegmentId| network.source_id(id).to_owned();
    network
        .segment_ids()
        .for_each(|id| *uses.entry(source(id)).or_default() += 1);
    let exact = |id: SegmentId| {
        let segment = network.segment(id);
        let direction = if segment.source_dir < 0 { '-' } else { '+' };
        format!("{}/{}{direction}", source(id), segment.source_pair)
    };
    let mut names: Vec<String> = network
        .segment_ids()
        .map(|id| match uses.get(&source(id)) {
            Some(1) => source(id),
            _ => exact(id),
        })
        .collect();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for name in &mut names {
        let before = seen.entry(name.clone()).or_default();
        *before += 1;
        if *before > 1 {
            name.push_str(&format!("/{before}"));
        }
    }
    names
}
