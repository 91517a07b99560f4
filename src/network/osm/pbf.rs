//! Decodes `.osm.pbf` files element by element (OSM wiki, PBF Format).
//!
//! Every length, index and sum of differences is checked: a broken file is an error that names the
//! blob and, where one is reached, the element.

use std::io::Read;

use prost::Message;

use super::tags::Tags;
use crate::network::NetworkError;

/// Largest blob header and blob that the format allows, bytes.
const HEADER_BYTES_MAX: usize = 64 << 10;
const BLOB_BYTES_MAX: usize = 32 << 20;

/// What a file must not ask of a reader beyond these.
const FEATURES: [&str; 2] = ["OsmSchema-V0.6", "DenseNodes"];

/// One element of a file.
pub(super) enum Element<'a> {
    Node {
        id: i64,
        lon_deg: f64,
        lat_deg: f64,
        tags: Tags<'a>,
    },
    Way {
        id: i64,
        nodes: Vec<i64>,
        tags: Tags<'a>,
    },
    Relation {
        members: Vec<Member<'a>>,
        tags: Tags<'a>,
    },
}

/// What a relation's member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    Node,
    Way,
    Relation,
}

/// One member of a relation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) kind: MemberKind,
    pub(super) id: i64,
    pub(super) role: &'a str,
}

#[derive(Clone, PartialEq, Message)]
struct BlobHeader {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(int32, tag = "3")]
    datasize: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Blob {
    #[prost(bytes = "vec", optional, tag = "1")]
    raw: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    raw_size: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "3")]
    zlib_data: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderBlock {
    #[prost(string, repeated, tag = "4")]
    required_features: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct StringTable {
    #[prost(bytes = "vec", repeated, tag = "1")]
    strings: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct PrimitiveBlock {
    #[prost(message, optional, tag = "1")]
    strings: Option<StringTable>,
    #[prost(message, repeated, tag = "2")]
    groups: Vec<PrimitiveGroup>,
    #[prost(int32, optional, tag = "17")]
    granularity: Option<i32>,
    #[prost(int64, tag = "19")]
    lat_offset: i64,
    #[prost(int64, tag = "20")]
    lon_offset: i64,
}

#[derive(Clone, PartialEq, Message)]
struct PrimitiveGroup {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<PlainNode>,
    #[prost(message, optional, tag = "2")]
    dense: Option<DenseNodes>,
    #[prost(message, repeated, tag = "3")]
    ways: Vec<PlainWay>,
    #[prost(message, repeated, tag = "4")]
    relations: Vec<PlainRelation>,
}

#[derive(Clone, PartialEq, Message)]
struct PlainNode {
    #[prost(sint64, tag = "1")]
    id: i64,
    #[prost(uint32, repeated, tag = "2")]
    keys: Vec<u32>,
    #[prost(uint32, repeated, tag = "3")]
    values: Vec<u32>,
    #[prost(sint64, tag = "8")]
    lat: i64,
    #[prost(sint64, tag = "9")]
    lon: i64,
}

#[derive(Clone, PartialEq, Message)]
struct DenseNodes {
    #[prost(sint64, repeated, tag = "1")]
    ids: Vec<i64>,
    #[prost(sint64, repeated, tag = "8")]
    lats: Vec<i64>,
    #[prost(sint64, repeated, tag = "9")]
    lons: Vec<i64>,
    /// Key, value, … of each node, each node ended by 0; empty when no node has tags.
    #[prost(int32, repeated, tag = "10")]
    keys_values: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct PlainWay {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(uint32, repeated, tag = "2")]
    keys: Vec<u32>,
    #[prost(uint32, repeated, tag = "3")]
    values: Vec<u32>,
    #[prost(sint64, repeated, tag = "8")]
    nodes: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct PlainRelation {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(uint32, repeated, tag = "2")]
    keys: Vec<u32>,
    #[prost(uint32, repeated, tag = "3")]
    values: Vec<u32>,
    #[prost(int32, repeated, tag = "8")]
    roles: Vec<i32>,
    #[prost(sint64, repeated, tag = "9")]
    ids: Vec<i64>,
    #[prost(int32, repeated, tag = "10")]
    kinds: Vec<i32>,
}

/// Calls `found` with every element of the file in its order, until it says to stop.
pub(super) fn for_each(
    input: &str,
    bytes: &[u8],
    found: &mut impl FnMut(Element<'_>) -> std::ops::ControlFlow<()>,
) -> Result<(), NetworkError> {
    let mut rest = bytes;
    let mut index = 0;
    while !rest.is_empty() {
        let ended = blob(&mut rest, index, found).map_err(|problem| NetworkError::Malformed {
            input: input.to_owned(),
            place: format!("blob {index}"),
            problem,
        })?;
        if ended.is_break() {
            break;
        }
        index += 1;
    }
    Ok(())
}

/// Reads one blob off the front of `rest`.
fn blob(
    rest: &mut &[u8],
    index: usize,
    found: &mut impl FnMut(Element<'_>) -> std::ops::ControlFlow<()>,
) -> Result<std::ops::ControlFlow<()>, String> {
    let mut take = |count: usize, what: &str| {
        let short = || format!("its {what} is cut short: {} of {count} bytes", rest.len());
        let (taken, after) = rest.split_at_checked(count).ok_or_else(short)?;
        *rest = after;
        Ok::<&[u8], String>(taken)
    };
    let length = take(4, "length")?;
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if length > HEADER_BYTES_MAX {
        return Err(format!(
            "its header has {length} bytes, at most {HEADER_BYTES_MAX} are allowed"
        ));
    }
    let header = BlobHeader::decode(take(length, "header")?)
        .map_err(|error| format!("its header: {error}"))?;
    let size = usize::try_from(header.datasize)
        .ok()
        .filter(|&size| size <= BLOB_BYTES_MAX)
        .ok_or_else(|| {
            format!(
                "its size is {} bytes, at most {BLOB_BYTES_MAX} are allowed",
                header.datasize
            )
        })?;
    let body = Blob::decode(take(size, "content")?).map_err(|error| error.to_string())?;
    match header.kind.as_str() {
        "OSMHeader" => {
            let block = HeaderBlock::decode(&*unpack(body)?).map_err(|error| error.to_string())?;
            let mut features = block.required_features.iter();
            match features.find(|feature| !FEATURES.contains(&feature.as_str())) {
                Some(feature) => Err(format!("needs the unknown feature {feature:?}")),
                None => Ok(std::ops::ControlFlow::Continue(())),
            }
        }
        "OSMData" if index == 0 => Err("data comes before the header".into()),
        "OSMData" => {
            let block =
                PrimitiveBlock::decode(&*unpack(body)?).map_err(|error| error.to_string())?;
            elements(&block, found)
        }
        _ => Ok(std::ops::ControlFlow::Continue(())),
    }
}

fn unpack(blob: Blob) -> Result<Vec<u8>, String> {
    if let Some(raw) = blob.raw {
        return Ok(raw);
    }
    let Some(packed) = blob.zlib_data else {
        return Err("is compressed in a way other than zlib".into());
    };
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(&*packed)
        .take(BLOB_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("zlib: {error}"))?;
    if bytes.len() > BLOB_BYTES_MAX {
        return Err(format!("unpacks to more than {BLOB_BYTES_MAX} bytes"));
    }
    match blob.raw_size {
        Some(size) if usize::try_from(size) != Ok(bytes.len()) => Err(format!(
            "unpacks to {} bytes instead of {size}",
            bytes.len()
        )),
        _ => Ok(bytes),
    }
}

/// Decodes one block.
fn elements(
    block: &PrimitiveBlock,
    found: &mut impl FnMut(Element<'_>) -> std::ops::ControlFlow<()>,
) -> Result<std::ops::ControlFlow<()>, String> {
    let strings = Strings::read(block)?;
    let place = Place {
        granularity: block.granularity.unwrap_or(100),
        lon_offset: block.lon_offset,
        lat_offset: block.lat_offset,
    };
    for group in &block.groups {
        for node in &group.nodes {
            let tags = strings.tags("node", node.id, &node.keys, &node.values)?;
            let (id, (lon_deg, lat_deg)) = (node.id, place.degrees(node.lon, node.lat));
            if found(Element::Node {
                id,
                lon_deg,
                lat_deg,
                tags,
            })
            .is_break()
            {
                return Ok(std::ops::ControlFlow::Break(()));
            }
        }
        if let Some(dense) = &group.dense
            && dense_nodes(dense, &strings, &place, found)?.is_break()
        {
            return Ok(std::ops::ControlFlow::Break(()));
        }
        for way in &group.ways {
            let tags = strings.tags("way", way.id, &way.keys, &way.values)?;
            let nodes = running_sums(&way.nodes)
                .ok_or_else(|| format!("way {}: node ids overflow", way.id))?;
            if found(Element::Way {
                id: way.id,
                nodes,
                tags,
            })
            .is_break()
            {
                return Ok(std::ops::ControlFlow::Break(()));
            }
        }
        for relation in &group.relations {
            let tags = strings.tags("relation", relation.id, &relation.keys, &relation.values)?;
            let members = members(relation, &strings)
                .map_err(|problem| format!("relation {}: {problem}", relation.id))?;
            if found(Element::Relation { members, tags }).is_break() {
                return Ok(std::ops::ControlFlow::Break(()));
            }
        }
    }
    Ok(std::ops::ControlFlow::Continue(()))
}

fn dense_nodes(
    dense: &DenseNodes,
    strings: &Strings<'_>,
    place: &Place,
    found: &mut impl FnMut(Element<'_>) -> std::ops::ControlFlow<()>,
) -> Result<std::ops::ControlFlow<()>, String> {
    let (ids, lons, lats) = (&dense.ids, &dense.lons, &dense.lats);
    if ids.len() != lons.len() || ids.len() != lats.len() {
        return Err(format!(
            "dense nodes: {} ids, {} longitudes and {} latitudes",
            ids.len(),
            lons.len(),
            lats.len()
        ));
    }
    let mut texts = dense.keys_values.iter();
    let (mut id, mut lon, mut lat) = (0i64, 0i64, 0i64);
    for index in 0..ids.len() {
        let sums = [(id, ids[index]), (lon, lons[index]), (lat, lats[index])];
        let [Some(next_id), Some(next_lon), Some(next_lat)] =
            sums.map(|(sum, step)| sum.checked_add(step))
        else {
            return Err(format!(
                "dense node {index} after node {id}: numbers overflow"
            ));
        };
        (id, lon, lat) = (next_id, next_lon, next_lat);
        let mut tags = Vec::new();
        while let Some(&key) = texts.next().filter(|&&key| key != 0) {
            let value = texts.next().copied();
            let pair = strings
                .signed(key)
                .zip(value.and_then(|value| strings.signed(value)));
            tags.push(pair.ok_or_else(|| {
                format!(
                    "node {id}: a tag names string {key} and {value:?} of {}",
                    strings.0.len()
                )
            })?);
        }
        let (lon_deg, lat_deg) = place.degrees(lon, lat);
        let tags = Tags(tags);
        if found(Element::Node {
            id,
            lon_deg,
            lat_deg,
            tags,
        })
        .is_break()
        {
            return Ok(std::ops::ControlFlow::Break(()));
        }
    }
    Ok(std::ops::ControlFlow::Continue(()))
}

fn members<'a>(relation: &PlainRelation, strings: &Strings<'a>) -> Result<Vec<Member<'a>>, String> {
    let count = relation.ids.len();
    if relation.roles.len() != count || relation.kinds.len() != count {
        return Err(format!(
            "{count} members, {} roles and {} kinds",
            relation.roles.len(),
            relation.kinds.len()
        ));
    }
    let ids = running_sums(&relation.ids).ok_or("member ids overflow")?;
    let all = ids.into_iter().zip(&relation.roles).zip(&relation.kinds);
    all.map(|((id, &role), kind)| {
        let kind = match kind {
            0 => MemberKind::Node,
            1 => MemberKind::Way,
            2 => MemberKind::Relation,
            _ => return Err(format!("member {id} is of the unknown kind {kind}")),
        };
        let role = strings
            .signed(role)
            .ok_or_else(|| format!("a role names string {role} of {}", strings.0.len()))?;
        Ok(Member { kind, id, role })
    })
    .collect()
}

fn running_sums(steps: &[i64]) -> Option<Vec<i64>> {
    let mut sum = 0i64;
    steps
        .iter()
        .map(|&step| {
            sum = sum.checked_add(step)?;
            Some(sum)
        })
        .collect()
}

/// The texts of a block.
struct Strings<'a>(Vec<&'a str>);

impl<'a> Strings<'a> {
    fn read(block: &'a PrimitiveBlock) -> Result<Self, String> {
        let strings = block.strings.iter().flat_map(|table| &table.strings);
        strings
            .enumerate()
            .map(|(index, bytes)| {
                std::str::from_utf8(bytes).map_err(|error| format!("string {index}: {error}"))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn signed(&self, index: i32) -> Option<&'a str> {
        self.0.get(usize::try_from(index).ok()?).copied()
    }

    fn tags(&self, kind: &str, id: i64, keys: &[u32], values: &[u32]) -> Result<Tags<'a>, String> {
        if keys.len() != values.len() {
            return Err(format!(
                "{kind} {id}: {} keys and {} values",
                keys.len(),
                values.len()
            ));
        }
        let text = |index: u32| self.0.get(index as usize).copied();
        let pairs = keys.iter().zip(values).map(|(&key, &value)| {
            text(key).zip(text(value)).ok_or_else(|| {
                format!(
                    "{kind} {id}: a tag names string {key} and {value} of {}",
                    self.0.len()
                )
            })
        });
        Ok(Tags(pairs.collect::<Result<_, _>>()?))
    }
}

/// How the coordinates of a block are scaled: nanodegrees.
struct Place {
    granularity: i32,
    lon_offset: i64,
    lat_offset: i64,
}

impl Place {
    /// Longitude and latitude; out of range where the file says so.
    fn degrees(&self, lon: i64, lat: i64) -> (f64, f64) {
        let scale = |offset: i64, value: i64| {
            let nano = i128::from(offset) + i128::from(self.granularity) * i128::from(value);
            nano as f64 / 1e9
        };
        (scale(self.lon_offset, lon), scale(self.lat_offset, lat))
    }
}
