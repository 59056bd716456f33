//! What `[stamp.dfu_settings]` of a recipe asks for and cannot have.

use crate::{
    boots::{UICR, sdk},
    crosscheck::{among, told},
    recipe::as_hex,
};

#[test]
fn a_settings_page_that_no_bootloader_reads_is_not_made() {
    let with = |from: &str, to: &str| sdk(UICR).with(from, to);
    told(&with("version = 2", "version = 3"), &["lot.toml", "`version` is the layout of the page: 1 or 2"]);
    let check = "version = 1\nboot_check = \"sha256\"";
    told(&with("version = 2", check), &["lot.toml", "layout 1 has no room for a `boot_check`"]);
    told(&with("application = \"app\"", "application = \"ap\""), &["lot.toml", "no image is called `ap`", "`app`"]);
    let other = with("chip = \"nRF52840\"", "chip = \"nRF9160\"");
    among(&other, &["lot.toml", "the nRF5 SDK has no settings page on nRF9160"]);
    let low = sdk(UICR).with_file("app.hex", as_hex(0x800, &[7; 16]));
    among(&low, &["app.hex", "nothing in the flash where an application stands"]);
    for check in ["none", "crc", "sha256"] {
        let check = format!("version = 2\nboot_check = \"{check}\"");
        assert!(with("version = 2", &check).read_as(None).is_ok(), "{check}");
    }
}
