//! `roadcast serve`.

use std::process::ExitCode;

/// Options of `roadcast serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not available in this build")
}

/// Options of `roadcast check-config`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {}

/// Runs the check.
pub(crate) fn check(_args: CheckArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not available in this build")
}
