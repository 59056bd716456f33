//! Where the nRF5 SDK's master boot record and its bootloader look when a chip starts.

use crate::image::softdevice::{INFO, MAGIC, MBR_SIZE};

/// The master boot record's own word with the bootloader's address, in its page of flash. [nrf_mbr.h, MBR_BOOTLOADER_ADDR]
pub const BOOTLOADER_IN_FLASH: u32 = 0x0000_0FF8;

/// `UICR.NRFFW[0]`, which is asked only if that word is erased. [nrf_mbr.h, MBR_UICR_BOOTLOADER_ADDR; nordic-facts A1]
pub const BOOTLOADER_IN_UICR: u32 = 0x1000_1014;

/// The page in which the master boot record finds its parameters, in flash. [nrf_mbr.h, MBR_PARAM_PAGE_ADDR]
pub const PARAMETERS_IN_FLASH: u32 = 0x0000_0FFC;

/// `UICR.NRFFW[1]`, likewise. [nrf_mbr.h, MBR_UICR_PARAM_PAGE_ADDR; nordic-facts A1]
pub const PARAMETERS_IN_UICR: u32 = 0x1000_1018;

/// The SoftDevice's description of itself: magic and size, which counts from 0. [nrf_sdm.h, SD_MAGIC_NUMBER, SD_SIZE_GET]
const SOFTDEVICE_MAGIC_AT: u32 = MBR_SIZE + INFO + 4;
const SOFTDEVICE_SIZE_AT: u32 = MBR_SIZE + INFO + 8;

/// Where the bootloader starts an application: behind the SoftDevice if there is one, or else behind the master boot
/// record; so that only memory tells. [nRF5 SDK nrf_dfu_utils.c, nrf_dfu_bank0_start_addr]
pub fn application_at(word: impl Fn(u32) -> u32) -> u32 {
    if word(SOFTDEVICE_MAGIC_AT) != MAGIC {
        return MBR_SIZE;
    }
    word(SOFTDEVICE_SIZE_AT).checked_next_multiple_of(super::settings::PAGE).unwrap_or(u32::MAX)
}
