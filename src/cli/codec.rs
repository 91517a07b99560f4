//! `roadcast decode` and `roadcast encode`: message frames as lines of JSON, and back; of the other
//! formats, what roadcast understands of a payload.
//!
//! A frame is a line of hexadecimal digits on one side and `{"kind":…,"message":…}` on the other;
//! what cannot be read or written becomes `{"error":…}` in its place. With `--envelope` a line is
//! an envelope; each of its frames is a line of JSON that names the envelope it came in.

use std::io::{BufRead, BufWriter, Write};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::{UsageError, understood};
use crate::units::Timestamp;
use crate::wire::asn1::json::{from_frame, hex_of, octets_of, to_frame};
use crate::wire::csae::{Envelope, encode_envelope};
use crate::wire::{Dialect, Format};

/// Options of `roadcast decode`.
#[derive(Debug, clap::Args)]
pub(crate) struct DecodeArgs {
    /// Wire format of the input: csae-uper, csae-uper-envelope, json, json-records, protobuf, huawei,
    /// openv2x, its0117, jtt808, its-client or gtfs-rt. Binary ones come as hexadecimal lines, the
    /// others as they are, a payload a line.
    #[arg(long)]
    format: Format,
    /// Release of T/CSAE 53 that the source speaks: 2019, or 2020 with T/CSAE 157. Never guessed;
    /// csae-uper needs it.
    #[arg(long)]
    dialect: Option<Dialect>,
    /// Frames come in the RSU-to-centre envelope; the same as the format csae-uper-envelope.
    #[arg(long)]
    envelope: bool,
    #[command(flatten)]
    receipt: understood::Receipt,
}

/// Options of `roadcast encode`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Wire format of the frames: csae-uper or csae-uper-envelope.
    #[arg(long)]
    format: Format,
    /// Release of T/CSAE 53 that the source speaks: 2019, or 2020 with T/CSAE 157. Never guessed.
    #[arg(long)]
    dialect: Dialect,
    /// Frames come in the RSU-to-centre envelope; the same as the format csae-uper-envelope.
    #[arg(long)]
    envelope: bool,
}

impl Args {
    fn is_enveloped(&self) -> anyhow::Result<bool> {
        match self.format {
            Format::CsaeUper { envelope, .. } => Ok(envelope || self.envelope),
            other => {
                let problem = format!("--format {other} has no message frames: use csae-uper");
                Err(UsageError(problem).into())
            }
        }
    }
}

/// Runs `roadcast decode`.
pub(crate) fn decode(args: &DecodeArgs) -> anyhow::Result<ExitCode> {
    match (args.format, args.dialect) {
        (Format::CsaeUper { envelope, .. }, Some(dialect)) => {
            decode_frames(dialect, envelope || args.envelope)
        }
        (Format::CsaeUper { .. }, None) => {
            let problem = "--format csae-uper needs --dialect 2019 or 2020";
            Err(UsageError(problem.to_owned()).into())
        }
        (other, None) if !args.envelope => decode_payloads(other, &args.receipt),
        (other, _) => {
            let problem = format!("--format {other} has neither dialect nor envelope");
            Err(UsageError(problem).into())
        }
    }
}

fn decode_frames(dialect: Dialect, enveloped: bool) -> anyhow::Result<ExitCode> {
    each_line(|line, out| {
        let Some(bytes) = octets_of(line) else {
            return print(out, &not_hex());
        };
        if enveloped {
            for line in enveloped_lines(dialect, &bytes) {
                print(out, &line)?;
            }
        } else {
            print(out, &frame_line(dialect, &bytes))?;
        }
        Ok(())
    })
}

fn decode_payloads(format: Format, receipt: &understood::Receipt) -> anyhow::Result<ExitCode> {
    let is_binary = matches!(
        format,
        Format::NativeProtobuf | Format::Jtt808 | Format::GtfsRealtime
    );
    each_line(|line, out| {
        let octets = is_binary.then(|| octets_of(line));
        let line = match &octets {
            None => understood::line(format, line.as_bytes(), receipt),
            Some(Some(octets)) => understood::line(format, octets, receipt),
            Some(None) => not_hex(),
        };
        print(out, &line)
    })
}

/// Runs `roadcast encode`.
pub(crate) fn encode(args: &Args) -> anyhow::Result<ExitCode> {
    let enveloped = args.is_enveloped()?;
    let mut gathered = Gathered::default();
    each_line(|line, out| {
        let written = if enveloped {
            gathered.take(args.dialect, line)
        } else {
            object(line)
                .and_then(|line| to_frame(args.dialect, &line).map_err(|error| error.to_string()))
                .map(Some)
        };
        match written {
            Ok(Some(bytes)) => writeln!(out, "{}", hex_of(&bytes).to_ascii_lowercase())?,
            Ok(None) => {}
            Err(problem) => print(out, &error(&problem))?,
        }
        Ok(())
    })?;
    if !gathered.frames.is_empty() {
        anyhow::bail!("the last envelope lacks frames");
    }
    Ok(ExitCode::SUCCESS)
}

/// Calls `work` with every line of standard input that is not blank.
fn each_line(
    mut work: impl FnMut(&str, &mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line.context("reading standard input")?;
        let line = line.trim();
        if !line.is_empty() {
            work(line, &mut out)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut dyn Write, line: &Value) -> anyhow::Result<()> {
    writeln!(out, "{line}")?;
    Ok(())
}

fn not_hex() -> Value {
    error("not_hex: an odd count of digits, or other characters")
}

fn error(problem: &str) -> Value {
    json!({ "error": problem })
}

fn frame_line(dialect: Dialect, frame: &[u8]) -> Value {
    match from_frame(dialect, frame) {
        Ok(line) => Value::Object(line),
        Err(problem) => error(&problem.to_string()),
    }
}

/// The frames of an envelope, each with what the envelope says and its place in it.
fn enveloped_lines(dialect: Dialect, bytes: &[u8]) -> Vec<Value> {
    let envelope = match Envelope::parse(bytes) {
        Ok(envelope) if envelope.frames.is_empty() => {
            return vec![error("empty: the envelope holds no frame")];
        }
        Ok(envelope) => envelope,
        Err(problem) => return vec![error(&problem.to_string())],
    };
    let frames = envelope.frames.len();
    let lines = envelope.frames.iter().enumerate().map(|(frame, bytes)| {
        let mut line = frame_line(dialect, bytes);
        line["envelope"] = json!({
            "rsuId": hex_of(&envelope.rsu_id),
            "timestamp": envelope.sent_at.as_millis(),
            "frame": frame,
            "frames": frames,
        });
        line
    });
    lines.collect()
}

fn object(line: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(line).map_err(|error| format!("not_json: {error}"))
}

/// The frames of one envelope as their lines come in.
#[derive(Default)]
struct Gathered {
    frames: Vec<Vec<u8>>,
}

impl Gathered {
    /// Adds the frame of `line`; with the last one, the envelope.
    fn take(&mut self, dialect: Dialect, line: &str) -> Result<Option<Vec<u8>>, String> {
        let taken = self.try_take(dialect, line);
        if !matches!(taken, Ok(None)) {
            self.frames.clear();
        }
        taken
    }

    fn try_take(&mut self, dialect: Dialect, line: &str) -> Result<Option<Vec<u8>>, String> {
        let line = object(line)?;
        let frame = to_frame(dialect, &line).map_err(|error| error.to_string())?;
        let said = |name: &str| line.get("envelope").and_then(|envelope| envelope.get(name));
        let number = |name: &str| said(name).and_then(Value::as_u64);
        let rsu_id = said("rsuId")
            .and_then(Value::as_str)
            .and_then(octets_of)
            .and_then(|octets| <[u8; 8]>::try_from(octets).ok());
        let sent_ms = said("timestamp").and_then(Value::as_i64);
        let place = (number("frame"), number("frames"));
        let (Some(rsu_id), Some(sent_ms), (Some(place), Some(count))) = (rsu_id, sent_ms, place)
        else {
            return Err(
                "not_enveloped: envelope needs rsuId of 8 octets, timestamp, frame and frames"
                    .to_owned(),
            );
        };
        if place != self.frames.len() as u64 {
            return Err(format!("not_enveloped: frame {place} is out of order"));
        }
        self.frames.push(frame);
        if place + 1 < count {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let sent_at = Timestamp::from_millis(sent_ms);
        encode_envelope(rsu_id, sent_at, &self.frames, &mut bytes);
        Ok(Some(bytes))
    }
}
