//! Blocks to row groups: the columns of a file, group by group.

use std::sync::Arc;

use parquet::data_type::ByteArray;

use super::block::Block;
use super::parquet_file::{Cells, Value};
use super::tables::{Kind, STATE, Table};
use crate::network::Network;
use crate::state::Doubt;
use crate::units::SegmentId;

/// Rows in a row group of tables that are not keyed by segment.
const EVENT_ROWS: usize = 10_000;

struct StateGroups<'a> {
    blocks: &'a [Arc<Block>],
    network: &'a Network,
    version: ByteArray,
    labels: Labels,
    segments_per_group: u32,
}

/// The words that repeat in every row.
struct Labels {
    provenance: [ByteArray; 3],
    doubt: Vec<ByteArray>,
}

/// Row groups of states: so many segments each, their minutes one after the other.
pub(super) fn state_groups<'a>(
    blocks: &'a [Arc<Block>],
    network: &'a Network,
    segments_per_group: usize,
) -> impl FnMut(usize) -> Option<Vec<Cells>> + 'a {
    let labels = Labels {
        provenance: ["observed", "estimated", "profile"].map(ByteArray::from),
        doubt: Doubt::ALL
            .map(|doubt| ByteArray::from(doubt.label()))
            .to_vec(),
    };
    let groups = StateGroups {
        blocks,
        network,
        version: ByteArray::from(network.version().to_string().as_str()),
        labels,
        segments_per_group: segments_per_group.max(1) as u32,
    };
    let mut next = 0u32;
    move |_| {
        // Groups without a row, of segments that nobody saw, are passed over.
        while (next as usize) < groups.network.segment_count() {
            let begin = next;
            next = next.saturating_add(groups.segments_per_group);
            let cells = groups.group(begin, next.min(groups.network.segment_count() as u32));
            if cells.is_some() {
                return cells;
            }
        }
        None
    }
}

impl StateGroups<'_> {
    fn group(&self, begin: u32, end: u32) -> Option<Vec<Cells>> {
        let mut rows: Vec<usize> = self.blocks.iter().map(|b| b.row_from(begin)).collect();
        let capacity = (end - begin) as usize * self.blocks.len();
        let columns = STATE.columns.iter();
        let mut cells: Vec<Cells> = columns.map(|c| Cells::new(c.kind, capacity)).collect();
        let mut is_empty = true;
        for segment in begin..end {
            let id = SegmentId(segment);
            let source_id = ByteArray::from(self.network.source_id(id));
            let length_m = self.network.segment(id).length_m;
            for (block, row) in self.blocks.iter().zip(&mut rows) {
                if block.segment(*row) != Some(segment) {
                    continue;
                }
                let Some(state) = block.state(*row) else {
                    continue;
                };
                *row += 1;
                is_empty = false;
                let known = |value: f32| {
                    if value.is_nan() {
                        Value::Null
                    } else {
                        Value::Float(value)
                    }
                };
                let count = |value: i32| match value {
                    0 => Value::Null,
                    value => Value::Int(value),
                };
                let speed = state
                    .speeds_cmps
                    .map(|cmps| Value::Float(f32::from(cmps) / 100.0));
                let [speed, sigma, free_flow, usual, usual_sigma] = speed;
                let values = [
                    Value::Int(segment as i32),
                    Value::Text(source_id.clone()),
                    Value::Text(self.version.clone()),
                    Value::Float(length_m),
                    Value::Time(block.start.as_millis()),
                    speed,
                    sigma,
                    free_flow,
                    usual,
                    usual_sigma,
                    Value::Int(state.level as i32),
                    Value::Text(self.labels.provenance[state.provenance as usize].clone()),
                    count(i32::from(state.samples)),
                    count(i32::from(state.views)),
                    match state.doubt {
                        Doubt::None => Value::Null,
                        doubt => Value::Text(self.labels.doubt[doubt as usize].clone()),
                    },
                    state
                        .age_s
                        .map_or(Value::Null, |age_s| Value::Int(age_s.into())),
                    known(state.known[0]),
                    known(state.known[1]),
                    known(state.known[2]),
                ];
                for (cells, value) in cells.iter_mut().zip(values) {
                    cells.push(value);
                }
            }
        }
        (!is_empty).then_some(cells)
    }
}

/// Row groups of a table whose blocks hold a JSON object a line.
pub(super) fn event_groups<'a>(
    table: &'a Table,
    blocks: &'a [Arc<Block>],
) -> impl FnMut(usize) -> Option<Vec<Cells>> + 'a {
    let mut lines = blocks
        .iter()
        .flat_map(|block| block.bytes.split(|&byte| byte == b'\n'))
        .filter(|line| !line.is_empty());
    move |_| {
        let columns = table.columns.iter();
        let mut cells: Vec<Cells> = columns.map(|c| Cells::new(c.kind, 0)).collect();
        let mut rows = 0;
        for line in lines.by_ref().take(EVENT_ROWS) {
            let row: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(line).unwrap_or_default();
            for (cells, column) in cells.iter_mut().zip(table.columns) {
                cells.push(value_of(column.kind, row.get(column.name)));
            }
            rows += 1;
        }
        (rows > 0).then_some(cells)
    }
}

fn value_of(kind: Kind, value: Option<&serde_json::Value>) -> Value {
    let value = match kind {
        Kind::Int => value
            .and_then(serde_json::Value::as_i64)
            .and_then(|value| i32::try_from(value).ok())
            .map(Value::Int),
        Kind::Time => value.and_then(serde_json::Value::as_i64).map(Value::Time),
        Kind::Float => value
            .and_then(serde_json::Value::as_f64)
            .map(|value| Value::Float(value as f32)),
        Kind::Text => value
            .and_then(serde_json::Value::as_str)
            .map(|text| Value::Text(ByteArray::from(text))),
        Kind::Flag => value.and_then(serde_json::Value::as_bool).map(Value::Flag),
    };
    value.unwrap_or(Value::Null)
}
