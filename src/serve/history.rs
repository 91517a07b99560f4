//! `/api/v1/history`: questions, and answers as JSON or CSV, sent in pieces as they are encoded.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;

use crate::archive::{History, HistoryAnswer, HistoryError, HistoryQuery, HistoryRow};
use crate::network::Network;
use crate::publish::format::JsonBuffer;
use crate::units::{SegmentId, Timestamp};

/// Questions answered at the same time; further ones are told to come again.
pub(super) const CONCURRENT_MAX: usize = 2;
/// Rows encoded at once.
const PIECE_ROWS: usize = 1_000;
const CSV_HEAD: &str = "segment,source_id,start_ms,speed_mps,travel_time_s,level_worst,\
    congested_share,observed_share,estimated_share,minutes,coverage,samples,flow_vph,queue_max_m\n";

/// How the answer is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum HistoryFormat {
    /// One object with the rows.
    #[default]
    Json,
    /// One line a row, names first.
    Csv,
}

/// The question as it is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryParams {
    /// Segment numbers, separated by commas.
    segment: Option<String>,
    /// West, south, east and north, WGS-84 degrees, separated by commas.
    bbox: Option<String>,
    /// Milliseconds of event time.
    from: i64,
    to: i64,
    /// Seconds.
    step: Option<i64>,
    #[serde(default)]
    format: HistoryFormat,
}

impl HistoryParams {
    fn query(&self, network: &Network) -> Result<HistoryQuery, String> {
        let mut segments = match (&self.segment, &self.bbox) {
            (Some(list), None) => segments(list)?,
            (None, Some(list)) => within(network, bbox(list)?),
            _ => return Err("ask for either segment or bbox".into()),
        };
        segments.sort_unstable();
        segments.dedup();
        Ok(HistoryQuery {
            segments,
            from: Timestamp::from_millis(self.from),
            to: Timestamp::from_millis(self.to),
            step_s: self.step.unwrap_or(300),
        })
    }
}

fn segments(list: &str) -> Result<Vec<SegmentId>, String> {
    let number = |text: &str| {
        let number = text.trim().parse();
        number.map_err(|_error| format!("{text:?} is no segment number"))
    };
    list.split(',')
        .map(|text| number(text).map(SegmentId))
        .collect()
}

fn bbox(list: &str) -> Result<[f64; 4], String> {
    let numbers: Vec<f64> = list
        .split(',')
        .filter_map(|text| text.trim().parse().ok())
        .collect();
    match numbers[..] {
        [west, south, east, north] if west < east && south < north => {
            Ok([west, south, east, north])
        }
        _ => Err(format!(
            "bbox {list:?} is not west,south,east,north in degrees"
        )),
    }
}

/// The segments whose middle lies in a box.
fn within(network: &Network, [west, south, east, north]: [f64; 4]) -> Vec<SegmentId> {
    let is_inside = |&id: &SegmentId| {
        let middle = network.position_at(id, network.segment(id).length_m / 2.0);
        (west..=east).contains(&middle.lon_deg) && (south..=north).contains(&middle.lat_deg)
    };
    network.segment_ids().filter(is_inside).collect()
}

/// Answers a question off the reactor.
pub(super) async fn respond(history: Arc<History>, params: HistoryParams) -> Response {
    let format = params.format;
    let network = history.network().clone();
    let answered = tokio::task::spawn_blocking(move || {
        let query = params
            .query(history.network())
            .map_err(HistoryError::Question)?;
        let answer = history.answer(&query)?;
        Ok::<_, HistoryError>((query, answer))
    });
    let (query, answer) = match answered.await {
        Ok(Ok(answered)) => answered,
        Ok(Err(HistoryError::Question(problem))) => {
            return (StatusCode::BAD_REQUEST, problem + "\n").into_response();
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "A question about the past was not answered.");
            return (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the archive cannot be read\n",
            )
                .into_response();
        }
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let content_type = match format {
        HistoryFormat::Json => "application/json",
        HistoryFormat::Csv => "text/csv; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let pieces = Pieces {
        format,
        network,
        query,
        answer,
        next: 0,
        is_begun: false,
        is_over: false,
    };
    (headers, Body::from_stream(pieces)).into_response()
}

/// An answer as it is sent.
struct Pieces {
    format: HistoryFormat,
    network: Arc<Network>,
    query: HistoryQuery,
    answer: HistoryAnswer,
    next: usize,
    is_begun: bool,
    is_over: bool,
}

impl Pieces {
    fn begin(&self, out: &mut JsonBuffer) {
        if self.format == HistoryFormat::Csv {
            out.raw(CSV_HEAD);
            return;
        }
        out.raw("{\"network\":\"");
        out.raw(&self.network.version().to_string());
        out.raw("\",\"from_ms\":");
        out.int(self.query.from.as_millis());
        out.raw(",\"to_ms\":");
        out.int(self.query.to.as_millis());
        out.raw(",\"step_s\":");
        out.int(self.query.step_s);
        out.raw(",\"files\":");
        out.int(self.answer.files as i64);
        out.raw(",\"files_of_other_networks\":");
        out.int(self.answer.files_of_other_networks as i64);
        out.raw(",\"rows\":[");
    }

    fn piece(&mut self) -> Bytes {
        let mut out = JsonBuffer::with_capacity(PIECE_ROWS * 220);
        if !self.is_begun {
            self.is_begun = true;
            self.begin(&mut out);
        }
        let end = (self.next + PIECE_ROWS).min(self.answer.rows.len());
        for index in self.next..end {
            let row = self.answer.rows[index];
            match self.format {
                HistoryFormat::Json => {
                    out.raw(if index > 0 { ",{" } else { "{" });
                    self.write_json(&mut out, &row);
                    out.raw("}");
                }
                HistoryFormat::Csv => self.write_csv(&mut out, &row),
            }
        }
        self.next = end;
        if end == self.answer.rows.len() {
            self.is_over = true;
            if self.format == HistoryFormat::Json {
                out.raw("]}\n");
            }
        }
        out.into_bytes()
    }

    /// Share of the step's minutes that the archive has.
    fn coverage(&self, row: &HistoryRow) -> f32 {
        row.minutes as f32 * 60.0 / self.query.step_s as f32
    }

    fn numbers(&self, row: &HistoryRow) -> [(&'static str, Option<f32>); 11] {
        [
            ("speed_mps", Some(row.speed_mps)),
            ("travel_time_s", Some(row.travel_time_s)),
            ("level_worst", Some(f32::from(row.level_worst as u8))),
            ("congested_share", Some(row.congested_share)),
            ("observed_share", Some(row.observed_share)),
            ("estimated_share", Some(row.estimated_share)),
            ("minutes", Some(row.minutes as f32)),
            ("coverage", Some(self.coverage(row))),
            ("samples", row.samples.map(|samples| samples as f32)),
            ("flow_vph", row.flow_vph),
            ("queue_max_m", row.queue_max_m),
        ]
    }

    fn write_json(&self, out: &mut JsonBuffer, row: &HistoryRow) {
        out.raw("\"segment\":");
        out.int(row.segment.0.into());
        out.raw(",\"source_id\":");
        out.string(self.network.source_id(row.segment));
        out.raw(",\"start_ms\":");
        out.int(row.start.as_millis());
        for (name, value) in self.numbers(row) {
            if let Some(value) = value {
                out.raw(",\"");
                out.raw(name);
                out.raw("\":");
                out.fixed2(value);
            }
        }
    }

    fn write_csv(&self, out: &mut JsonBuffer, row: &HistoryRow) {
        out.int(row.segment.0.into());
        out.raw(",\"");
        out.raw(&self.network.source_id(row.segment).replace('"', "\"\""));
        out.raw("\",");
        out.int(row.start.as_millis());
        for (_, value) in self.numbers(row) {
            out.raw(",");
            if let Some(value) = value {
                out.fixed2(value);
            }
        }
        out.raw("\n");
    }
}

impl futures_core::Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(self.piece())))
    }
}
