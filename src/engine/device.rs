//! Where a model computes. This file alone says CUDA; `flash` has what one of its features adds.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use candle_core::Device;

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU where there is one.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this number.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").and_then(|number| number.parse().ok());
                number.map(Self::Cuda).ok_or_else(|| "not a device: auto, cpu, cuda or cuda:N".into())
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// A device that is there, and what to call it.
pub struct OpenedDevice {
    /// For candle.
    pub(super) device: Device,
    /// For people, with the reason where the CPU was taken for want of a GPU.
    pub name: String,
}

impl OpenedDevice {
    /// True when it is a GPU.
    pub fn is_gpu(&self) -> bool {
        !self.device.is_cpu()
    }
}

/// Opens a device.
///
/// # Errors
/// When a GPU is asked for and not to be had; the message says why.
pub fn open(choice: DeviceChoice) -> Result<OpenedDevice> {
    match choice {
        DeviceChoice::Cpu => Ok(processor("cpu".into())),
        DeviceChoice::Auto if !candle_core::utils::cuda_is_available() => Ok(processor("cpu".into())),
        DeviceChoice::Auto => match cuda(0) {
            Ok(device) => Ok(OpenedDevice { device, name: "cuda:0".into() }),
            Err(reason) => Ok(processor(format!("cpu, as no GPU or driver is to be had here: {reason}"))),
        },
        DeviceChoice::Cuda(_) if !candle_core::utils::cuda_is_available() => {
            bail!(
                "--device {choice}: this mailsort was built without CUDA; build it with --features cuda, or use --device cpu"
            )
        }
        DeviceChoice::Cuda(number) => match cuda(number) {
            Ok(device) => Ok(OpenedDevice { device, name: choice.to_string() }),
            Err(reason) => bail!(
                "--device {choice}: this mailsort was built with CUDA, but no such GPU or no driver is here: {reason}; use \
                 --device cpu"
            ),
        },
    }
}

fn processor(name: String) -> OpenedDevice {
    OpenedDevice { device: Device::Cpu, name }
}

/// The driver's own words, without the trace behind them that nobody needs.
fn cuda(number: usize) -> Result<Device, String> {
    let first_line =
        |error: candle_core::Error| error.to_string().lines().next().unwrap_or("no reason given").to_string();
    Device::new_cuda(number).inspect(keep_freed_memory).map_err(first_line)
}

/// Keeps what is freed on the device for the next batch: a driver would hand it back whenever results are waited for,
/// and map it anew.
#[cfg(feature = "cuda")]
#[allow(unsafe_code)]
fn keep_freed_memory(device: &Device) {
    use candle_core::cuda_backend::cudarc::driver::{result, sys};
    let Device::Cuda(device) = device else { return };
    let number = device.cuda_stream().context().cu_device();
    let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    let mut all = u64::MAX;
    // SAFETY: the device is open and the pool its own; of this attribute the value is 64 bits, read before the call
    // returns. Devices without pools refuse, and nothing changes.
    let _ = unsafe {
        result::device::get_default_mem_pool(number)
            .and_then(|pool| result::mem_pool::set_attribute(pool, threshold, (&raw mut all).cast()))
    };
}

/// As above.
#[cfg(not(feature = "cuda"))]
fn keep_freed_memory(_: &Device) {}

/// True when the error says that the device ran out of memory.
pub(super) fn out_of_memory(error: &candle_core::Error) -> bool {
    let text = error.to_string();
    text.contains("OUT_OF_MEMORY") || text.contains("out of memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices() {
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        assert!("gpu".parse::<DeviceChoice>().is_err());
        assert!("cuda:-1".parse::<DeviceChoice>().is_err());
    }

    #[test]
    fn the_processor_is_always_there() {
        assert!(open(DeviceChoice::Cpu).is_ok());
        assert!(open(DeviceChoice::Auto).is_ok());
    }
}
