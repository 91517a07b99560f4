//! `roadcast network`, and the reading of every `--network` option.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;

use super::UsageError;
use crate::network::{
    CountryCode, ImportOptions, ImportReport, Network, NetworkFormat, RoadClass, SectionKind,
    SectionRules, SegmentFlags, compiled,
};

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
        /// Also divide the segments into evaluation sections.
        #[arg(long, value_name = "STANDARD")]
        resplit: Option<Resplit>,
        /// Whose law limits roads without a sign, like CN (OSM only); else the country that the
        /// file names most.
        #[arg(long, value_name = "CODE")]
        country: Option<CountryCode>,
    },
    /// Show what a network, source or compiled, holds.
    Info {
        /// CSV, SUMO .net.xml, OSM .osm.pbf (each may be gzip-compressed) or compiled .rcn.
        file: PathBuf,
    },
}

/// By which standard segments are divided into evaluation sections.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Resplit {
    /// GB/T 33171-2016: expressways from ramp to ramp, 3 km where possible; other roads from stop
    /// line to stop line, 1.5 km where possible.
    Gbt33171,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Build {
            from,
            out,
            resplit,
            country,
        } => build(&from, &out, resplit, ImportOptions { country })?,
        Verb::Info { file } => info(&file)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the network a `--network` option names, source or compiled.
pub(crate) fn open(path: &Path) -> anyhow::Result<(Network, ImportReport)> {
    understand(path, read(path)?, ImportOptions::default())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let unreadable =
        |error| UsageError(format!("network {} can't be read: {error}", path.display()));
    Ok(std::fs::read(path).map_err(unreadable)?)
}

fn understand(
    path: &Path,
    bytes: Vec<u8>,
    options: ImportOptions,
) -> anyhow::Result<(Network, ImportReport)> {
    crate::network::load_with(&path.display().to_string(), bytes, options)
        .map_err(|error| UsageError(error.to_string()))
        .context("network")
}

/// What a step does and how long it took.
struct Steps(Vec<(&'static str, f64)>);

impl Steps {
    fn time<T>(&mut self, name: &'static str, step: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = step();
        self.0
            .push((name, started.elapsed().as_secs_f64() * 1000.0));
        result
    }

    fn tell(&self, out: &mut impl Write) -> std::io::Result<()> {
        for (name, ms) in &self.0 {
            writeln!(out, "{name:<12} {ms:.1} ms")?;
        }
        let total_ms: f64 = self.0.iter().map(|(_, ms)| ms).sum();
        writeln!(out, "total        {total_ms:.1} ms")
    }
}

fn build(
    from: &Path,
    to: &Path,
    resplit: Option<Resplit>,
    options: ImportOptions,
) -> anyhow::Result<()> {
    let mut steps = Steps(Vec::new());
    let source = steps.time("read", || read(from))?;
    let (mut network, report) = steps.time("import", || understand(from, source, options))?;
    if let Some(Resplit::Gbt33171) = resplit {
        let rules = SectionRules::default();
        network = steps.time("divide", || network.with_sections(&rules));
    }
    let mut bytes = Vec::new();
    steps.time("compile", || {
        compiled::write(&network, &report, &mut bytes);
    });
    // A reader never sees half a file: written beside it, then renamed.
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let written = steps.time("write", || {
        std::fs::write(&partial, &bytes).and_then(|()| std::fs::rename(&partial, to))
    });
    written.with_context(|| format!("{} can't be written", to.display()))?;
    let mut out = std::io::stdout().lock();
    describe(&network, &report, &mut out)?;
    writeln!(
        out,
        "written      {} bytes to {}",
        bytes.len(),
        to.display()
    )?;
    steps.tell(&mut out)?;
    Ok(())
}

fn info(file: &Path) -> anyhow::Result<()> {
    let mut steps = Steps(Vec::new());
    let started = Instant::now();
    let bytes = steps.time("read", || read(file))?;
    let (network, report) = steps.time("check", || {
        understand(file, bytes, ImportOptions::default())
    })?;
    let load_ms = started.elapsed().as_secs_f64() * 1000.0;
    let mut out = std::io::stdout().lock();
    describe(&network, &report, &mut out)?;
    steps.tell(&mut out)?;
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
    for (label, flag) in [
        ("restricted ", SegmentFlags::RESTRICTED),
        ("private    ", SegmentFlags::PRIVATE),
        ("destination", SegmentFlags::DESTINATION),
    ] {
        let km = total_km(&|segment| segment.flags.contains(flag));
        writeln!(out, "{label}  {km:.1} km")?;
    }
    let manoeuvres = network.prohibited_manoeuvre_count();
    writeln!(out, "manoeuvres   {manoeuvres} prohibited")?;
    describe_sections(network, out)?;
    describe_tables(network, out)?;
    writeln!(out, "roads read   {}", report.roads_read)?;
    for (what, count) in report.parts() {
        writeln!(out, "  also read  {count} {what}")?;
    }
    if report.format == NetworkFormat::Osm {
        writeln!(out, "  kept       {}", report.roads_kept)?;
        writeln!(out, "restrictions {}", report.restrictions_read)?;
        writeln!(out, "  kept       {}", report.restrictions_kept)?;
    }
    for (cause, count) in report.omissions() {
        writeln!(out, "  left out   {count} {}", cause.label())?;
    }
    for (assumption, count) in report.assumptions() {
        writeln!(out, "  assumed    {count} {}", assumption.label())?;
    }
    for note in &report.notes {
        writeln!(out, "  note       {note}")?;
    }
    Ok(())
}

/// Evaluation sections by kind: how many, and their lengths at the quantiles 0.1, 0.5 and 0.9.
fn describe_sections(network: &Network, out: &mut impl Write) -> std::io::Result<()> {
    if network.section_count() == 0 {
        return writeln!(out, "sections     none; network build --resplit makes them");
    }
    writeln!(out, "sections     {}", network.section_count())?;
    for kind in SectionKind::ALL {
        let mut lengths_m: Vec<f64> = network
            .sections()
            .filter(|section| section.kind == kind)
            .map(|section| section.length.value())
            .collect();
        lengths_m.sort_unstable_by(f64::total_cmp);
        let Some(last) = lengths_m.len().checked_sub(1) else {
            continue;
        };
        let quantile_m = |share: f64| lengths_m[(share * last as f64).round() as usize];
        writeln!(
            out,
            "  {:<12} {} of {:.0}, {:.0}, {:.0} m (10, 50, 90 %)",
            kind.label(),
            lengths_m.len(),
            quantile_m(0.1),
            quantile_m(0.5),
            quantile_m(0.9)
        )?;
    }
    Ok(())
}

/// Items, bytes and the time to build each table anew where it can be built from the others.
fn describe_tables(network: &Network, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "table            items      bytes   build")?;
    for size in network.tables() {
        let started = Instant::now();
        let is_derived = network.rehearse(size.table);
        let build = if is_derived {
            format!("{:.1} ms", started.elapsed().as_secs_f64() * 1000.0)
        } else {
            "-".to_owned()
        };
        writeln!(
            out,
            "  {:<13} {:>8} {:>10}   {build}",
            size.table.label(),
            size.item_count,
            size.byte_count
        )?;
    }
    Ok(())
}
