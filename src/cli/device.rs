//! Which processor forecasts and trains.

use candle_core::Device;

use super::UsageError;

/// What `--device` and `forecast.device` may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum DeviceChoice {
    /// CUDA where it was built in and a device is there, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA, or an error.
    Cuda,
}

impl DeviceChoice {
    /// The device.
    ///
    /// # Errors
    /// Where CUDA is asked for and not to be had.
    pub(super) fn open(self) -> anyhow::Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto => Ok(Device::cuda_if_available(0).unwrap_or_else(|error| {
                tracing::warn!(%error, "No CUDA device answers; the CPU forecasts.");
                Device::Cpu
            })),
            Self::Cuda if !candle_core::utils::cuda_is_available() => Err(UsageError(
                "device cuda: this build knows no CUDA, build with --features cuda".into(),
            )
            .into()),
            Self::Cuda => Device::new_cuda(0)
                .map_err(|error| anyhow::Error::new(error).context("device cuda: none answers")),
        }
    }
}

impl From<crate::config::ForecastDevice> for DeviceChoice {
    fn from(configured: crate::config::ForecastDevice) -> Self {
        match configured {
            crate::config::ForecastDevice::Auto => Self::Auto,
            crate::config::ForecastDevice::Cpu => Self::Cpu,
            crate::config::ForecastDevice::Cuda => Self::Cuda,
        }
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
        assert!(DeviceChoice::Cpu.open().unwrap().is_cpu());
        match DeviceChoice::Cuda.open() {
            Ok(device) => assert!(device.is_cuda()),
            Err(error) => assert!(error.to_string().starts_with("device cuda: "), "{error}"),
        }
        let auto = DeviceChoice::Auto.open().unwrap();
        assert_eq!(auto.is_cuda(), DeviceChoice::Cuda.open().is_ok());
    }
}
