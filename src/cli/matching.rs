//! `roadcast match`: recorded traces in, one matched row for every fix out.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::UsageError;
use crate::matching::{
    Advance, MAX_LAG_FIXES, MatchSettings, Matcher, Partition, RoutePiece, Scratch,
};
use crate::network::Network;
use crate::observation::{Observation, Origin, RejectCounts};
use crate::units::{Position, SegmentId, SourceId, SubjectId, Timestamp};

/// Options of `roadcast match`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Network, source or compiled.
    #[arg(long)]
    network: PathBuf,
    /// Traces as CSV (.csv or .csv.gz) with columns trace_id, t (s), lon, lat and optionally
    /// speed_mps, heading_deg and altitude_m; others are ignored.
    #[arg(long)]
    traces: PathBuf,
    /// Where to write trace_id,t,segment,source_id,source_dir,offset_m,lon,lat,confidence.
    #[arg(long)]
    out: PathBuf,
    /// Where to write the routes, one JSON object a trace and line.
    #[arg(long)]
    routes: Option<PathBuf>,
    /// How many later fixes each position may wait for, 0 to 4.
    #[arg(long, default_value_t = MatchSettings::default().lag_fixes)]
    lag: u8,
    /// How many seconds each position may wait, instead of --lag; never longer than for 4 fixes.
    #[arg(long, conflicts_with = "lag")]
    lag_seconds: Option<f32>,
    /// Ignore speed and heading.
    #[arg(long)]
    no_kinematics: bool,
    /// Standard deviation of a position per axis, metres.
    #[arg(long, default_value_t = MatchSettings::default().sigma_m)]
    sigma: f32,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = MatchSettings {
        lag_fixes: match args.lag_seconds {
            Some(_) => MAX_LAG_FIXES,
            None => args.lag,
        },
        lag_s: args.lag_seconds,
        use_kinematics: !args.no_kinematics,
        sigma_m: args.sigma,
        ..MatchSettings::default()
    };
    let (network, _) = super::network::open(&args.network)?;
    let network = Arc::new(network);
    let matcher = Matcher::new(Arc::clone(&network), settings)
        .map_err(|error| UsageError(error.to_string()))?;
    let traces = read_traces(&args.traces)?;
    let cpu_before_s = cpu_seconds();
    let matched = match_all(&matcher, &traces);
    let cpu_s = cpu_seconds() - cpu_before_s;
    write_rows(&args.out, &network, &traces, &matched)
        .with_context(|| format!("writing {}", args.out.display()))?;
    if let Some(path) = &args.routes {
        write_routes(path, &network, &traces, &matched)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    let fixes = traces.fixes.len();
    let refused: Vec<String> = matched
        .rejected
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{} {count}", reason.label()))
        .collect();
    writeln!(
        std::io::stdout().lock(),
        "{fixes} fixes, {} refused ({}), {cpu_s:.3} CPU s, {:.0} fixes/s",
        matched.rejected.total(),
        refused.join(", "),
        fixes as f64 / cpu_s.max(1e-9),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The fixes of all traces, in file order.
#[derive(Debug, Default)]
struct Traces {
    names: Vec<String>,
    fixes: Vec<Observation>,
    /// The time of each fix as the file writes it.
    times: Vec<String>,
}

/// What became of each fix.
#[derive(Debug, Default)]
struct Matched {
    rows: Vec<Option<Row>>,
    /// The travelled segments of each trace; a gap stands between two tracks.
    routes: Vec<Vec<RoutePiece>>,
    rejected: RejectCounts,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    segment: SegmentId,
    offset_m: f32,
    confidence: f32,
}

fn match_all(matcher: &Matcher, traces: &Traces) -> Matched {
    let mut partition = Partition::new();
    let mut scratch = Scratch::default();
    let mut matched = Matched {
        rows: vec![None; traces.fixes.len()],
        routes: vec![Vec::new(); traces.names.len()],
        rejected: RejectCounts::default(),
    };
    let mut waiting: Vec<VecDeque<usize>> = vec![VecDeque::new(); traces.names.len()];
    let Matched {
        rows,
        routes,
        rejected,
    } = &mut matched;
    let mut commit = |waiting: &mut Vec<VecDeque<usize>>, advance: &Advance<'_>| {
        let trace = advance.position.subject.0 as usize;
        let Some(index) = waiting[trace].pop_front() else {
            return;
        };
        rows[index] = Some(Row {
            segment: advance.position.segment,
            offset_m: advance.position.offset_m,
            confidence: advance.position.likelihood,
        });
        if advance.route.is_empty() {
            routes[trace].push(RoutePiece {
                segment: advance.position.segment,
                from_m: advance.position.offset_m,
                to_m: advance.position.offset_m,
            });
        }
        routes[trace].extend_from_slice(advance.route);
    };
    for (index, fix) in traces.fixes.iter().enumerate() {
        let trace = fix.subject.0 as usize;
        waiting[trace].push_back(index);
        let sink = &mut |advance: Advance<'_>| commit(&mut waiting, &advance);
        let result = partition.observe(matcher, &mut scratch, SourceId(0), fix, sink);
        if let Err(reason) = result {
            rejected.add(reason, 1);
            waiting[trace].pop_back();
        }
    }
    let sink = &mut |advance: Advance<'_>| commit(&mut waiting, &advance);
    partition.flush(matcher, &mut scratch, sink);
    matched
}

fn open_text(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    let file = File::open(path)
        .map_err(|error| UsageError(format!("{} can't be read: {error}", path.display())))?;
    let mut file = BufReader::new(file);
    let is_packed = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_packed {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

fn read_traces(path: &Path) -> anyhow::Result<Traces> {
    let mut reader = csv::Reader::from_reader(BufReader::new(open_text(path)?));
    let headers = reader.headers()?.clone();
    let column = |name: &str| headers.iter().position(|header| header.trim() == name);
    let needed = |name: &str| {
        column(name)
            .ok_or_else(|| UsageError(format!("{}: column {name} is missing", path.display())))
    };
    let (id, t) = (needed("trace_id")?, needed("t")?);
    let (lon, lat) = (needed("lon")?, needed("lat")?);
    let (speed, heading) = (column("speed_mps"), column("heading_deg"));
    let altitude = column("altitude_m");
    let mut traces = Traces::default();
    let mut subjects: BTreeMap<String, u64> = BTreeMap::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        let number = |column: usize, name: &str| -> anyhow::Result<f64> {
            let text = record.get(column).unwrap_or_default().trim();
            let value = text.parse().ok().filter(|value: &f64| value.is_finite());
            value.with_context(|| format!("line {line}: {name} is no number: «{text}»"))
        };
        let optional = |column: Option<usize>| {
            let text = record.get(column?)?.trim();
            text.parse().ok().filter(|value: &f32| value.is_finite())
        };
        let name = record.get(id).unwrap_or_default();
        let subject = match subjects.get(name) {
            Some(&subject) => subject,
            None => {
                let subject = traces.names.len() as u64;
                traces.names.push(name.to_owned());
                subjects.insert(name.to_owned(), subject);
                subject
            }
        };
        let position = Position::new(number(lon, "lon")?, number(lat, "lat")?);
        anyhow::ensure!(position.is_valid(), "line {line}: position out of range");
        traces.times.push(record.get(t).unwrap_or_default().into());
        traces.fixes.push(Observation {
            observed_at: Timestamp::from_millis((number(t, "t")? * 1000.0).round() as i64),
            subject: SubjectId(subject),
            position,
            speed_mps: optional(speed).filter(|speed| (0.0..=70.0).contains(speed)),
            heading_deg: optional(heading).map(|heading| heading.rem_euclid(360.0)),
            accuracy_m: None,
            altitude_m: optional(altitude),
            origin: Origin::Probe,
            observer: crate::units::ObserverId::ITSELF,
            view: crate::units::ViewId::NONE,
        });
    }
    Ok(traces)
}

fn write_rows(
    path: &Path,
    network: &Network,
    traces: &Traces,
    matched: &Matched,
) -> anyhow::Result<()> {
    let mut out = csv::Writer::from_path(path)?;
    out.write_record([
        "trace_id",
        "t",
        "segment",
        "source_id",
        "source_dir",
        "offset_m",
        "lon",
        "lat",
        "confidence",
    ])?;
    for (index, fix) in traces.fixes.iter().enumerate() {
        let name = traces.names[fix.subject.0 as usize].as_str();
        let time = traces.times[index].as_str();
        let Some(row) = matched.rows[index] else {
            out.write_record([name, time, "", "", "", "", "", "", "0"])?;
            continue;
        };
        let position = network.position_at(row.segment, row.offset_m);
        out.write_record([
            name,
            time,
            &row.segment.to_string(),
            network.source_id(row.segment),
            &network.segment(row.segment).source_dir.to_string(),
            &format!("{:.2}", row.offset_m),
            &format!("{:.7}", position.lon_deg),
            &format!("{:.7}", position.lat_deg),
            &format!("{:.4}", row.confidence),
        ])?;
    }
    out.flush()?;
    Ok(())
}

fn write_routes(
    path: &Path,
    network: &Network,
    traces: &Traces,
    matched: &Matched,
) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for (name, route) in traces.names.iter().zip(&matched.routes) {
        let segs: Vec<String> = node_pairs(network, route)
            .into_iter()
            .map(|(segment, pair, metres)| {
                let source_id = network.source_id(segment);
                let source_id = match source_id.parse::<i64>() {
                    Ok(number) => number.to_string(),
                    Err(_) => serde_json::Value::from(source_id).to_string(),
                };
                let source_dir = network.segment(segment).source_dir;
                format!("[{source_id}, {source_dir}, {pair}, {metres:.2}]")
            })
            .collect();
        let name = serde_json::Value::from(name.as_str());
        writeln!(
            out,
            "{{\"trace_id\": {name}, \"segs\": [{}]}}",
            segs.join(", ")
        )?;
    }
    out.flush()?;
    Ok(())
}

/// The node pairs a route covers: segment, index of the pair in the source way, full metres.
fn node_pairs(network: &Network, route: &[RoutePiece]) -> Vec<(SegmentId, u32, f32)> {
    let mut pairs: Vec<(SegmentId, u32, f32)> = Vec::new();
    let mut reached_m = f32::INFINITY;
    for piece in route {
        let segment = network.segment(piece.segment);
        let shape = network.shape(piece.segment);
        let drawn_m: f32 = shape
            .windows(2)
            .map(|pair| pair[0].distance_m(pair[1]))
            .sum();
        let scale = segment.length_m / drawn_m.max(f32::MIN_POSITIVE);
        let last = shape.len() as u32 - 2;
        let is_same = pairs.last().is_some_and(|(id, _, _)| *id == piece.segment)
            && piece.from_m >= reached_m;
        let mut start_m = 0.0;
        for (index, pair) in shape.windows(2).enumerate() {
            let metres = pair[0].distance_m(pair[1]);
            let end_m = start_m + metres * scale;
            let touches = piece.from_m <= end_m && piece.to_m >= start_m;
            let step = if segment.source_dir >= 0 {
                index as u32
            } else {
                last - index as u32
            };
            let number = segment.source_pair + step;
            let is_known = is_same
                && pairs
                    .iter()
                    .rev()
                    .take_while(|(id, _, _)| *id == piece.segment)
                    .any(|(_, known, _)| *known == number);
            if touches && !is_known {
                pairs.push((piece.segment, number, metres));
            }
            start_m = end_m;
        }
        reached_m = piece.to_m;
    }
    pairs
}

/// CPU time of the process in seconds; 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    std::fs::read_to_string("/proc/self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map_or(0.0, |nanos| nanos / 1e9)
}
