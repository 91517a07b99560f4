//! `roadcast network`, and the reading of every `--network` option.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;

use super::UsageError;
use crate::network::{ImportReport, Network, RoadClass, SegmentFlags, compiled};

/// Options of `roadcast network`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Compile a network to a file that loads in milliseconds.
    Build {
        /// CSV, SUMO .net.xml or OSM .osm.pbf; each may be gzip-compressed.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The compiled file to write.
        #[arg(long, value_name = "FILE.rcn")]
        out: PathBuf,
    },
    /// Show what a network, source or compiled, holds.
    Info {
        /// CSV, SUMO .net.xml, OSM .osm.pbf (each may be gzip-compressed) or compiled .rcn.
        file: PathBuf,
    },
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Build { from, out } => build(&from, &out)?,
        Verb::Info { file } => info(&file)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the network a `--network` option names, source or compiled.
pub(crate) fn open(path: &Path) -> anyhow::Result<(Network, ImportReport)> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| UsageError(format!("network {name} can't be read: {error}")))?;
    let loaded = crate::network::load(&name, bytes)
        .map_err(|error| UsageError(error.to_string()))
        .context("network")?;
    Ok(loaded)
}

fn build(from: &Path, to: &Path) -> anyhow::Result<()> {
    let (network, report) = open(from)?;
    let mut bytes = Vec::new();
    compiled::write(&network, &report, &mut bytes);
    // A reader never sees half a file: written beside it, then renamed.
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let written = std::fs::write(&partial, &bytes).and_then(|()| std::fs::rename(&partial, to));
    written.with_context(|| format!("{} can't be written", to.display()))?;
    let mut out = std::io::stdout().lock();
    describe(&network, &report, &mut out)?;
    writeln!(
        out,
        "written      {} bytes to {}",
        bytes.len(),
        to.display()
    )?;
    Ok(())
}

fn info(file: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let (network, report) = open(file)?;
    let load_ms = started.elapsed().as_secs_f64() * 1000.0;
    let mut out = std::io::stdout().lock();
    describe(&network, &report, &mut out)?;
    writeln!(out, "loaded in    {load_ms:.0} ms")?;
    Ok(())
}

fn describe(network: &Network, report: &ImportReport, out: &mut impl Write) -> std::io::Result<()> {
    let total_km = |wanted: &dyn Fn(&crate::network::Segment) -> bool| {
        let metres: f64 = network
            .segments()
            .iter()
            .filter(|segment| wanted(segment))
            .map(|segment| segment.length().value())
            .fold(0.0, |sum, metres| sum + metres);
        metres / 1000.0
    };
    writeln!(out, "format       {}", report.format.label())?;
    writeln!(out, "version      {}", network.version())?;
    writeln!(out, "segments     {}", network.segment_count())?;
    writeln!(out, "junctions    {}", network.junction_count())?;
    writeln!(out, "signalised   {}", network.signalised_count())?;
    writeln!(out, "movements    {}", network.movements().len())?;
    writeln!(out, "regions      {}", network.region_count())?;
    let (low, high) = network.bounds();
    writeln!(
        out,
        "box          {:.6},{:.6} {:.6},{:.6}",
        low.lon_deg, low.lat_deg, high.lon_deg, high.lat_deg
    )?;
    writeln!(out, "length       {:.1} km", total_km(&|_| true))?;
    for class in RoadClass::ALL {
        let km = total_km(&|segment| segment.class() == class);
        if km > 0.0 {
            writeln!(out, "  {:<12} {km:.1} km", class.label())?;
        }
    }
    let restricted_km = total_km(&|segment| segment.flags.contains(SegmentFlags::RESTRICTED));
    writeln!(out, "restricted   {restricted_km:.1} km")?;
    writeln!(out, "roads read   {}", report.roads_read)?;
    for (cause, count) in report.omissions() {
        writeln!(out, "  left out   {count} {}", cause.label())?;
    }
    for note in &report.notes {
        writeln!(out, "  note       {note}")?;
    }
    Ok(())
}
