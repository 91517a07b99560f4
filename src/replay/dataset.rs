//! Writes training data as folders of `series.csv.gz`, `graph.csv`, `segments.csv`, `events.csv` and
//! `dataset.toml`.
//!
//! Columns are named by the network's source ids, in segment order; times are local (UTC+8).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::{Compression, write::GzEncoder};

use super::traffic::history::Series;
use crate::network::Network;
use crate::units::{Timestamp, date_of};

/// Hours that local time is ahead of UTC in the generated city.
const LOCAL_AHEAD_S: i64 = 8 * 3600;
/// Distance over which the kernel of `graph.csv` falls to 1/e, metres. Chosen.
const KERNEL_M: f64 = 600.0;

/// Writes `series` of `network` into `folder`, which is made if need be.
///
/// # Errors
/// When the folder or a file in it can't be written.
pub fn write(folder: &Path, name: &str, network: &Network, series: &Series) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    write_series(&folder.join("series.csv.gz"), network, series)?;
    write_graph(&folder.join("graph.csv"), network)?;
    write_segments(&folder.join("segments.csv"), network)?;
    write_events(&folder.join("events.csv"), network, series)?;
    let text = format!(
        "name = \"{name}\"\nquantity = \"speed\"          # space-mean speed of one directed segment a column\n\
         unit = \"m/s\"\nstep_s = {}\nrows = {}\ntimezone = \"+08:00\"\nzero_is_missing = false\n\
         graph_weight = \"distance kernel, 0..1\"\nnetwork = \"{}\"\n\
         licence = \"Apache-2.0, made by roadcast's own generator\"\n\
         note = \"simulated city; columns in segment order of the network named above\"\n",
        series.step_s,
        series.row_count(),
        network.version(),
    );
    std::fs::write(folder.join("dataset.toml"), text)?;
    Ok(())
}

fn write_series(path: &Path, network: &Network, series: &Series) -> std::io::Result<()> {
    let mut out = BufWriter::new(GzEncoder::new(File::create(path)?, Compression::fast()));
    write!(out, "time")?;
    for id in network.segment_ids() {
        write!(out, ",{}", network.source_id(id))?;
    }
    writeln!(out)?;
    let mut line = String::new();
    for row in 0..series.row_count() {
        line.clear();
        line.push_str(&local_time(series.time(row)));
        for &speed in series.row(row) {
            push_hundredths(&mut line, speed);
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    let encoder = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    encoder.finish()?.flush()?;
    Ok(())
}

/// Appends `,12.34` (or nothing behind the comma when the value is missing).
fn push_hundredths(line: &mut String, value: f32) {
    line.push(',');
    if value.is_finite() {
        let hundredths = (value * 100.0).round() as i64;
        line.push_str(&(hundredths / 100).to_string());
        line.push('.');
        let rest = hundredths % 100;
        line.push(char::from(b'0' + (rest / 10) as u8));
        line.push(char::from(b'0' + (rest % 10) as u8));
    }
}

fn write_graph(path: &Path, network: &Network) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "from,to,weight")?;
    for movement in network.movements() {
        let half_m = |id| network.segment(id).length().value() / 2.0;
        let far_m = half_m(movement.from()) + half_m(movement.to());
        let weight = (-(far_m / KERNEL_M).powi(2)).exp();
        writeln!(
            out,
            "{},{},{weight:.6}",
            network.source_id(movement.from()),
            network.source_id(movement.to())
        )?;
    }
    out.flush()?;
    Ok(())
}

fn write_segments(path: &Path, network: &Network) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "id,class,lanes,length_m,limit_mps,signal,lon,lat")?;
    for id in network.segment_ids() {
        let segment = network.segment(id);
        let middle = network.position_at(id, segment.length_m / 2.0);
        writeln!(
            out,
            "{},{},{},{:.1},{:.2},{},{:.6},{:.6}",
            network.source_id(id),
            segment.class().label(),
            segment.lanes,
            segment.length_m,
            segment.limit_mps,
            u8::from(segment.is_signalised()),
            middle.lon_deg,
            middle.lat_deg
        )?;
    }
    out.flush()?;
    Ok(())
}

fn write_events(path: &Path, network: &Network, series: &Series) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "kind,segment,from,until")?;
    for event in &series.events {
        let [from, until] = <[usize; 2]>::from(event.rows).map(|row| local_time(series.time(row)));
        match event.incident {
            Some(id) => writeln!(out, "incident,{},{from},{until}", network.source_id(id))?,
            None => writeln!(out, "weather,,{from},{until}")?,
        }
    }
    out.flush()
}

/// Local time as `2026-11-02T00:05:00`.
fn local_time(at: Timestamp) -> String {
    let secs = at.as_secs() + LOCAL_AHEAD_S;
    let (day, rest) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let [hour, minute, second] = [rest / 3600, rest / 60 % 60, rest % 60];
    format!("{}T{hour:02}:{minute:02}:{second:02}", date_of(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_are_eight_hours_ahead() {
        assert_eq!(local_time(Timestamp::from_secs(0)), "1970-01-01T08:00:00");
        assert_eq!(
            local_time(Timestamp::from_secs(1_793_548_800)),
            "2026-11-02T00:00:00"
        );
        assert_eq!(
            local_time(Timestamp::from_secs(1_709_164_800)),
            "2024-02-29T08:00:00"
        );
    }

    #[test]
    fn values_have_two_digits() {
        let mut line = String::new();
        for value in [0.0, 3.137, 12.996, f32::NAN] {
            push_hundredths(&mut line, value);
        }
        assert_eq!(line, ",0.00,3.14,13.00,");
    }
}
