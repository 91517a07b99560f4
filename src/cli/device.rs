//! Opens the processor that forecasts and trains.

use candle_core::Device;

use super::UsageError;
use crate::config::DeviceChoice;

/// The device.
///
/// # Errors
/// Where CUDA is asked for and not to be had.
pub(super) fn open(choice: DeviceChoice) -> anyhow::Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(Device::cuda_if_available(0).unwrap_or_else(|error| {
            tracing::warn!(%error, "No CUDA device answers; the CPU is taken.");
            Device::Cpu
        })),
        DeviceChoice::Cuda if !candle_core::utils::cuda_is_available() => Err(UsageError(
            "device cuda: this build knows no CUDA, build with --features cuda".into(),
        )
        .into()),
        DeviceChoice::Cuda => Device::new_cuda(0)
            .map_err(|error| anyhow::Error::new(error).context("device cuda: none answers")),
    }
}

/// What a device is called in logs.
pub(super) fn name(device: &Device) -> &'static str {
    if device.is_cuda() { "CUDA" } else { "CPU" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_cuda_never_falls_back_in_silence() {
        assert!(open(DeviceChoice::Cpu).unwrap().is_cpu());
        match open(DeviceChoice::Cuda) {
            Ok(device) => assert!(device.is_cuda()),
            Err(error) => assert!(error.to_string().starts_with("device cuda: "), "{error}"),
        }
        let auto = open(DeviceChoice::Auto).unwrap();
        assert_eq!(auto.is_cuda(), open(DeviceChoice::Cuda).is_ok());
    }
}
