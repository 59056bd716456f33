//! What is told of memory, in words.

use std::fmt::{self, Display};

use super::{BootConfReport, ImageReport, ProvisionReport, SegmentReport, address};
use crate::cli::paper::{limbs, row};

/// More pieces than a person reads; the JSON has all of them.
const PIECES: usize = 6;

impl Display for ImageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.memory(f)?;
        self.nordics(f)?;
        self.mcuboot_images.iter().try_for_each(|image| image.fmt(f))?;
        for (index, layout) in self.flash_maps.iter().enumerate() {
            // A bootloader and what it starts show the same one, if they are of one build.
            let same = self.flash_maps.iter().take(index).find(|other| other.areas == layout.areas);
            let areas = match same {
                Some(other) => format!("the same as at {}", address(other.at)),
                None => layout.longest().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            };
            row(f, "flash map", format!("at {}: {areas}", address(layout.at)))?;
        }
        self.provision_alone().try_for_each(|provision| provision.fmt(f))?;
        self.nsib_storage.iter().try_for_each(|storage| limbs(f, storage.tree()))?;
        self.boot_conf.iter().try_for_each(|conf| conf.fmt(f))?;
        self.dfu_settings.iter().try_for_each(|settings| limbs(f, &settings.tree))?;
        if self.is_data_alone() {
            return Ok(());
        }
        self.signs(f)?;
        self.keys_inside(f)
    }
}

impl ImageReport {
    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.segments.iter().take(PIECES).map(SegmentReport::to_string).collect::<Vec<_>>().join(", ");
        let more = match self.segments.len().saturating_sub(PIECES) {
            0 => String::new(),
            more => format!(", and {more} more pieces"),
        };
        row(f, "memory", format!("{} bytes: {shown}{more}", self.length))?;
        for table in &self.vector_tables {
            row(f, "vector table", format!("{}: stack {}, reset {}", table.at, table.stack, table.reset))?;
        }
        if let Some(at) = &self.perhaps_at {
            row(f, "vector table", format!("of a program for another place, perhaps {at}: say --at {at}"))?;
        }
        Ok(())
    }

    fn nordics(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(known) = &self.mbr {
            row(f, "MBR", known.words())?;
        }
        if let Some(known) = &self.softdevice {
            row(f, "SoftDevice", format!("{}..0x{:08X}", address(known.at), known.end))?;
            known.notes().iter().try_for_each(|note| row(f, "", note))?;
        }
        if let Some(known) = &self.connectivity {
            let (at, api, baud) = (address(known.at), known.ble_api, known.baud_rate);
            row(f, "connectivity", format!("version {} ({at}), BLE API {api}, {baud} baud", known.version))?;
        }
        Ok(())
    }

    fn signs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in &self.bootloader.families {
            let signs: Vec<String> =
                found.signs.iter().map(|sign| format!("{} ({})", sign.name, address(sign.at))).collect();
            row(f, "bootloader", found.doubt())?;
            row(f, "", format!("signs: {}", signs.join(", ")))?;
        }
        // Of an image, whose program is no bootloader as a rule, this would be one line too many.
        if self.bootloader.families.is_empty() && self.mcuboot_images.is_empty() {
            row(f, "bootloader", "no sign of one")?;
        }
        for (info, signed) in self.bootloader.firmware.iter().zip(&self.nsib_firmware) {
            let state = if info.valid { "" } else { ", given up: its own token says so" };
            let what = format!("version {} at {}, {} bytes{state}", info.version, address(info.address), info.size);
            row(f, "for NSIB", what)?;
            row(f, "", signed.words())?;
        }
        if self.bootloader.families.iter().any(|found| found.certain) {
            row(f, "trust", &self.bootloader.trust.rests_on)?;
        }
        Ok(())
    }

    fn keys_inside(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for key in &self.keys {
            let known = if key.refused.is_none() && !key.private { " (on no list of published keys here)" } else { "" };
            row(f, "key", format!("{}: {}{known}", key.at, key.what))?;
        }
        for key in &self.bare_keys {
            let refused = key.refused.as_ref().map_or_else(String::new, |refused| format!(", a {}", refused.why));
            row(f, "key", format!("{}: P-256 key {} ({}){refused}", key.at, key.spki_sha256, key.form))?;
        }
        for key in &self.keys_not_loaded {
            row(f, "key", key.not_loaded())?;
        }
        if self.keys.is_empty() && self.bare_keys.is_empty() && self.keys_not_loaded.is_empty() {
            row(f, "keys", "none found, in the forms that --json lists")?;
        }
        for what in &self.not_searched {
            row(f, "not searched", what)?;
        }
        Ok(())
    }
}

impl Display for SegmentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.at, self.end)
    }
}

impl Display for ProvisionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        limbs(f, &self.tree)?;
        for storage in &self.storage {
            let keys = match (&storage.keys_refused, storage.keys) {
                (Some(no), _) => format!("would start nothing: {no}"),
                (None, 1) => "takes its key".to_owned(),
                (None, count) => format!("takes its {count} keys"),
            };
            let state = storage.life_cycle.map(|state| format!("{state:?}").to_uppercase());
            let state = state.as_deref().unwrap_or("cannot be read");
            row(f, "bootloader", format!("of {}: {keys}; life cycle {state}", storage.generation))?;
        }
        Ok(())
    }
}

impl Display for BootConfReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        limbs(f, &self.tree)
    }
}
