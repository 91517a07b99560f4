//! `roadcast load`: a fleet's telemetry to a broker, and the rate achieved.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::{UsageError, network};
use crate::config::parse_broker_url;
use crate::replay::city::{CitySize, build};
use crate::replay::load::{self, LoadFormat, LoadSettings};

/// Options of `roadcast load`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The broker: mqtt://host[:port].
    #[arg(long, value_name = "URL")]
    mqtt: String,
    /// How many vehicles report.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    vehicles: u32,
    /// Reports a second of each vehicle, above 0 and up to 100.
    #[arg(long, value_name = "HZ", default_value_t = 1.0)]
    rate: f64,
    /// Records in a message. An envelope of BSM holds 255 at most.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    batch: u32,
    /// How records are encoded.
    #[arg(long, value_enum, default_value_t = Encoding::Json)]
    format: Encoding,
    /// How long to send.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// The network to drive on, source or compiled. Default: the bundled city.
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// Quality of service to publish with.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// Seed of the fleet, and of the bundled city.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// User name at the broker.
    #[arg(long, requires = "password_file")]
    username: Option<String>,
    /// File whose first line is the password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Encoding {
    /// Native JSON probe records.
    Json,
    /// The native columnar batch.
    Protobuf,
    /// T/CSAE 53 BSM in UPER, in the RSU-to-centre envelope.
    Csae,
    /// T/CSAE 53 RSM in UPER, one to an envelope, from a unit for every 50 vehicles.
    Rsm,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (host, port) = parse_broker_url(&args.mqtt)
        .map_err(|error| UsageError(format!("--mqtt {}: {error}", args.mqtt)))?;
    if !(args.rate > 0.0 && args.rate <= 100.0) {
        return Err(UsageError(format!("--rate {}: above 0 and up to 100", args.rate)).into());
    }
    let network = match &args.network {
        Some(path) => Arc::new(network::open(path)?.0),
        None => build(args.seed, CitySize::Demo)?.network,
    };
    let settings = LoadSettings {
        host,
        port,
        credentials: credentials(&args)?,
        client_id: format!("roadcast-load-{}", std::process::id()),
        vehicles: args.vehicles as usize,
        rate_hz: args.rate,
        batch: args.batch as usize,
        format: match args.format {
            Encoding::Json => LoadFormat::Json,
            Encoding::Protobuf => LoadFormat::Protobuf,
            Encoding::Csae => LoadFormat::Csae,
            Encoding::Rsm => LoadFormat::Rsm,
        },
        seconds: args.seconds,
        is_acknowledged: args.qos == 1,
        seed: args.seed,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("runtime")?;
    let report = runtime.block_on(load::run(settings, network))?;
    let per_second = |count: u64| count as f64 / report.seconds.max(1e-9);
    let mut out = std::io::stdout().lock();
    writeln!(out, "records/s {:.0}", per_second(report.records))?;
    writeln!(out, "messages/s {:.0}", per_second(report.messages))?;
    writeln!(out, "megabytes/s {:.2}", per_second(report.bytes) / 1e6)?;
    writeln!(out, "records {}", report.records)?;
    writeln!(out, "messages {}", report.messages)?;
    if args.qos == 1 {
        writeln!(out, "acknowledged {}", report.acknowledged)?;
    }
    if report.kept_back > 0 {
        writeln!(out, "kept_back {}", report.kept_back)?;
    }
    writeln!(out, "seconds {:.2}", report.seconds)?;
    Ok(ExitCode::SUCCESS)
}

fn credentials(args: &Args) -> anyhow::Result<Option<(String, String)>> {
    let (Some(username), Some(path)) = (&args.username, &args.password_file) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| UsageError(format!("--password-file {}: {error}", path.display())))?;
    let password = text.lines().next().unwrap_or_default().to_owned();
    Ok(Some((username.clone(), password)))
}
