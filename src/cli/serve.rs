//! `roadcast serve` and `roadcast check-config`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::network::open as open_network;
use super::{UsageError, forecasters, load_config};
use crate::service::{Plan, Service};

/// Options of `roadcast serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Configuration file; compiled defaults below it, environment and flags above.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Road network, instead of `network.file`.
    #[arg(long)]
    network: Option<PathBuf>,
    /// `wall` or `event`, instead of `clock.mode`.
    #[arg(long)]
    clock: Option<String>,
    /// Broker, instead of `mqtt.url`.
    #[arg(long)]
    mqtt: Option<String>,
    /// Address and port of HTTP, instead of `http.bind`.
    #[arg(long)]
    http: Option<String>,
}

/// Options of `roadcast check-config`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Runs the service until SIGINT or SIGTERM.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    super::log_to_stderr();
    let usage = |error: crate::config::ConfigError| UsageError(error.to_string());
    let mut raw = crate::config::read(args.config.as_deref(), std::env::vars()).map_err(usage)?;
    if let Some(file) = args.network {
        raw.network.file = file;
    }
    let flags = [
        (args.clock, &mut raw.clock.mode),
        (args.mqtt, &mut raw.mqtt.url),
        (args.http, &mut raw.http.bind),
    ];
    for (flag, key) in flags {
        if let Some(value) = flag {
            *key = value;
        }
    }
    let config = crate::config::resolve(raw).map_err(usage)?;
    if config.raw.network.file.as_os_str().is_empty() {
        return Err(UsageError("network.file is not set".into()).into());
    }
    let network = Arc::new(open_network(&config.raw.network.file)?.0);
    let names = &config.raw.forecast;
    let plan = Plan {
        forecasters: forecasters(
            &names.model,
            &names.shadow,
            &network,
            &config.calendar,
            config.forecast_device,
        )?,
        config,
        network,
        city: None,
        water: Vec::new(),
        speedup: 1.0,
        begin_at: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let service = Service::start(plan).await?;
        tracing::info!(http = %service.http, "Serving.");
        until_told_to_stop(&service).await?;
        tracing::info!("Stopping.");
        service.stop().await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Waits for SIGINT, SIGTERM, or the end of the engine.
pub(crate) async fn until_told_to_stop(service: &Service) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(200));
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = look.tick() => {
                if service.has_ended() {
                    return Ok(());
                }
            }
        }
    }
}

/// Checks a configuration and says what it would do.
pub(crate) fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let config = load_config(args.config.as_deref())?;
    #[expect(
        clippy::print_stdout,
        reason = "the verdict is what the command is for"
    )]
    {
        println!(
            "configuration is valid: broker {}:{}, {} routes, {} shards, http {}",
            config.broker.0,
            config.broker.1,
            config.routes.len(),
            config.shard_count,
            config.bind
        );
    }
    Ok(ExitCode::SUCCESS)
}
