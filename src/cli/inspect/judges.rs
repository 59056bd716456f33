//! The keys of `--key`: what a file is held against. A key file, or a bootloader, which judges with the keys it holds.

use super::look;
use crate::{
    fault::{Exit, Problem},
    file::Read,
    image::{
        Map,
        bootloader::{self, Family, Survey},
        dfu::patch::Form,
        mcuboot, scan,
    },
    keys::{AnyKey, refuse::RefuseList},
};

/// A key, and what to call it.
pub(super) type Named = (String, AnyKey);

/// Every key that this file stands for.
pub(super) fn of(file: &Read, at: Option<u32>, list: &RefuseList) -> Result<Vec<Named>, Vec<Problem>> {
    let one = |problem| vec![problem];
    if let Some((map, _)) = look::memory(file, at) {
        return inside(&map?, list).map_err(one);
    }
    match look::key_given(file) {
        Ok(key) => Ok(vec![(file.name(), key)]),
        // Raw memory for another address says nothing of itself; its name does.
        Err(problem) if problem.exit != Exit::KeyRefused && look::extension(file) == "bin" => {
            inside(&Map::from_raw(file, at.unwrap_or_default())?, list).map_err(one)
        }
        Err(problem) => Err(one(problem)),
    }
}

fn inside(map: &Map, list: &RefuseList) -> Result<Vec<Named>, Problem> {
    let found = scan::keys(map, list);
    if let Some(private) = found.iter().find(|found| matches!(found.kind, scan::Kind::Private(_))) {
        return Err(private.problem(map, format!("holds {}", private.describe())).exit(Exit::KeyRefused));
    }
    let images: Vec<_> = mcuboot::all(map).into_iter().filter_map(|(_, image)| image.ok()).collect();
    let survey = bootloader::survey_with(map, &found, &images, list);
    let certain = |family: Family| survey.families.iter().any(|one| one.certain && one.family == family);
    let name = |at: u32| format!("{}, key at 0x{at:08X}", map.name());
    if certain(Family::Nrf5Sdk) {
        return sdk(map, &survey).map(|(at, key)| vec![(name(at), key)]);
    }
    if !certain(Family::Mcuboot) {
        let what = "is no bootloader with a key of its own that is known here by more than one sign; name a key file";
        return Err(Problem::new(map.name(), what));
    }
    let trusted = |found: &&scan::Found| survey.keys.iter().any(|key| key.at == found.at && !key.in_tlvs);
    let keys = found.iter().filter(trusted).filter_map(|found| Some((name(found.at), found.key.clone()?)));
    let keys: Vec<Named> = keys.collect();
    if keys.is_empty() {
        let what = format!("judges with no key that stands in it; name a key file. {}", survey.trust.rests_on);
        return Err(Problem::new(map.name(), what));
    }
    Ok(keys)
}

/// The SDK's bootloader has one key. Which of several it uses, nothing tells.
fn sdk(map: &Map, survey: &Survey) -> Result<(u32, AnyKey), Problem> {
    let own: Vec<_> = survey.bare.iter().filter(|bare| bare.form == Form::Nrf5SdkLe).collect();
    match own[..] {
        [bare] => Ok((bare.at, bare.key.clone().into())),
        [] => Err(Problem::new(map.name(), "holds no key in the form of the nRF5 SDK; name a key file")),
        [..] => {
            let places: Vec<_> = own.iter().map(|bare| format!("0x{:08X}", bare.at)).collect();
            let what =
                format!("holds keys at {}: which of them counts is not known; name a key file", places.join(", "));
            Err(Problem::new(map.name(), what))
        }
    }
}
