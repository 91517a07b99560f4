//! `roadcast demo`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use candle_core::Device;

use super::{UsageError, forecaster};
use crate::service::demo::{Demo, DemoOptions};
use crate::state::Calendar;

/// The registered port of MQTT, taken where it is free and no other is asked for.
const MQTT_PORT: u16 = 1883;

/// Options of `roadcast demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port of the embedded broker on loopback; 1883, or any free one where that is taken.
    #[arg(long)]
    mqtt_port: Option<u16>,
    /// Port of the map and the API on loopback; 0 for any.
    #[arg(long, default_value_t = 8080)]
    http_port: u16,
    /// Vehicles on the road at the top of the peak, 100..=20000.
    #[arg(long, default_value_t = 3_600)]
    vehicles: usize,
    /// How many times faster than real time, 0.1..=100.
    #[arg(long, default_value_t = 20.0)]
    speedup: f64,
    /// Seed of city and traffic.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Who forecasts: `bundled`, `baseline`, or a model folder.
    #[arg(long, default_value = "bundled")]
    model: String,
    /// Write a recording and a dataset folder here.
    #[arg(long)]
    record: Option<PathBuf>,
}

/// Runs the demo until SIGINT or SIGTERM.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    super::log_to_stderr();
    if !(100..=20_000).contains(&args.vehicles) || !(0.1..=100.0).contains(&args.speedup) {
        let text = "--vehicles must be 100..=20000 and --speedup 0.1..=100";
        return Err(UsageError(text.into()).into());
    }
    let is_free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let options = DemoOptions {
        mqtt_port: args
            .mqtt_port
            .unwrap_or(if is_free(MQTT_PORT) { MQTT_PORT } else { 0 }),
        http_port: args.http_port,
        vehicles: args.vehicles,
        speedup: args.speedup,
        seed: args.seed,
        record: args.record,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let demo = Demo::start(options, |network| {
            forecaster(&args.model, network, &Calendar::default(), &Device::Cpu)
        })
        .await?;
        say(&demo)?;
        super::serve::until_told_to_stop(&demo.service).await?;
        tracing::info!("Stopping.");
        demo.stop().await
    })?;
    Ok(ExitCode::SUCCESS)
}

fn say(demo: &Demo) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "live map    http://{}/", demo.service.http)?;
    writeln!(out, "broker      mqtt://{} (MQTT 3.1.1)", demo.broker)?;
    writeln!(out, "subscribe   roadcast/v1/status")?;
    writeln!(out, "            roadcast/v1/state/#")?;
    writeln!(out, "            roadcast/v1/forecast/#")?;
    writeln!(out, "            roadcast/v1/guidance/#")?;
    writeln!(
        out,
        "            V2X.RSU.RSI.<rsuid>.DOWN (T/CSAE 53 RSI in UPER)"
    )?;
    writeln!(out, "stop with Ctrl-C")?;
    out.flush()
}
