//! What the file of an image says of memory: told by what it holds, and held against its name.

use std::{borrow::Cow, path::Path};

use super::Reading;
use crate::{
    fault::{Exit, Problem},
    file::Read,
    image::{Map, dfu, elf, scan},
    keys::{self, private, refuse::RefuseList},
    page::Placed,
    recipe::{Is, written::WrittenImage},
};

/// A way in which memory travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    IntelHex,
    Elf,
    /// Bytes alone, which do not say where they go.
    Raw,
}

impl Form {
    /// As the name has it, in letters of any case.
    fn called(name: &str) -> Option<Self> {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str())?.to_ascii_lowercase();
        match extension.as_str() {
            "hex" | "ihex" => Some(Self::IntelHex),
            "elf" | "axf" | "out" => Some(Self::Elf),
            "bin" => Some(Self::Raw),
            _ => None,
        }
    }

    /// As the contents have it; `None` if they do not say.
    fn held(file: &Read, called: Option<Self>) -> Option<Self> {
        if elf::begins(&file.bytes) {
            return Some(Self::Elf);
        }
        let begins = file.bytes.trim_ascii_start().starts_with(b":");
        // One byte is no proof; a file that is Intel HEX from end to end is nothing else.
        let proven = || called == Some(Self::IntelHex) || Map::from_hex(file).is_ok();
        (begins && proven()).then_some(Self::IntelHex)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::IntelHex => "Intel HEX",
            Self::Elf => "ELF",
            Self::Raw => "raw bytes",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::IntelHex => ".hex",
            Self::Elf => ".elf",
            Self::Raw => ".bin",
        }
    }
}

impl Reading<'_> {
    pub(super) fn map(&mut self, written: &WrittenImage, name: &Placed<String>, file: &Read) -> Option<Map> {
        let is = written.is.as_ref().map(|is| is.value);
        if let Some(form) = std::str::from_utf8(&file.bytes).ok().and_then(keys::private_by_label) {
            self.note(name.problem(no_private_key(&name.value, form)).exit(Exit::KeyRefused));
            return None;
        }
        let read = form(name, file, is).and_then(|form| match (form, &written.at) {
            (Form::IntelHex, None) => Map::from_hex(file),
            (Form::Elf, None) => Map::from_elf(file),
            (Form::Raw, Some(at)) => Map::from_raw(file, at.value),
            (Form::IntelHex | Form::Elf, Some(at)) => {
                let kind = if form == Form::Elf { "an ELF" } else { "a hex" };
                Err(vec![at.problem(format!("{kind} file says itself where its bytes go; `at` is for .bin files"))])
            }
            (Form::Raw, None) => Err(vec![name.problem("a .bin file needs `at`, the address of its first byte")]),
        });
        read.map_err(|problems| self.problems.extend(problems)).ok()
    }

    /// The file as it stands on disk is asked whatever `inspect` asks of it, for its bytes go on a board as they are. What
    /// says itself that it describes memory was searched as memory.
    pub(super) fn as_a_file(&mut self, written: &WrittenImage, name: &Placed<String>, file: &Read) {
        if Form::held(file, Form::called(&name.value)).is_some() {
            return;
        }
        if dfu::begins(file) {
            let what = format!(
                "`{}` is a ZIP archive, and what is packed in it nobody looks at: name the file in it that was meant",
                name.value
            );
            self.note(name.problem(what));
            return;
        }
        let is_bootloader = matches!(written.is.as_ref().map(|is| is.value), Some(Is::Mcuboot | Is::Nsib));
        let declared = is_bootloader && self.decryption.spki_sha256().is_some();
        let bytes = if declared { without_private_halves(file) } else { Cow::Borrowed(&file.bytes[..]) };
        if let Some(form) = private::form_of_file(&bytes) {
            self.note(name.problem(no_private_key(&name.value, form)).exit(Exit::KeyRefused));
        }
    }

    /// No file that is named for a board holds a private half or a refused key, even where nothing loads it: an ELF file
    /// is handed on with its debug information.
    pub(super) fn not_loaded(&mut self, written: &WrittenImage, file: &Read, list: Option<&RefuseList>) {
        let Some(list) = list.filter(|_| elf::begins(&file.bytes)) else { return };
        let image = written.name.as_ref().map_or("", |name| &name.value);
        let beside = elf::beside(file, list);
        self.remarks
            .extend(beside.unsearched.iter().map(|what| format!("{}: {what}: not searched for keys", file.name())));
        for found in beside.keys {
            let what =
                format!("{} at byte {} of the file of image `{image}`, which nothing loads", found.what(), found.at);
            if matches!(found.kind, scan::Kind::Private(_)) {
                let what = format!("{what}: take it out, and treat the key as exposed");
                self.note(Problem::new(file.name(), what).exit(Exit::KeyRefused));
            } else {
                self.refuse(Problem::new(file.name(), what));
            }
        }
    }
}

fn no_private_key(file: &str, form: &str) -> String {
    format!("`{file}` holds a private key ({form}); none goes on a board")
}

/// The bytes of a bootloader without those private halves that were found in its memory: they were told, or one of them
/// is the declared decryption key.
fn without_private_halves(file: &Read) -> Cow<'_, [u8]> {
    let map = Map::from_raw(file, 0).ok();
    let found = map.zip(RefuseList::built_in().ok()).map(|(map, list)| scan::keys(&map, &list)).unwrap_or_default();
    let mut bytes = file.bytes.clone();
    for found in found.iter().filter(|found| matches!(found.kind, scan::Kind::Private(_))) {
        bytes.iter_mut().skip(found.at as usize).take(found.len).for_each(|byte| *byte = 0xFF);
    }
    Cow::Owned(bytes)
}

/// In which form to read the file, if name and contents agree.
fn form(name: &Placed<String>, file: &Read, is: Option<Is>) -> Result<Form, Vec<Problem>> {
    let refuse = |what: String| Err(vec![name.problem(what)]);
    let called = Form::called(&name.value);
    match (called, Form::held(file, called)) {
        (_, Some(Form::Elf)) if is == Some(Is::McubootImage) => refuse(format!(
            "`{}` is ELF, which is never signed for MCUboot: imgtool takes the program as .bin or .hex and writes header \
             and signature around it; name the file that it wrote",
            name.value
        )),
        (Some(called), Some(held)) if called != held => refuse(format!(
            "`{}` is called {}, but holds {}: name it {}, or put the file there that was meant",
            name.value,
            called.extension(),
            held.name(),
            held.extension()
        )),
        (Some(called), _) => Ok(called),
        (None, Some(held)) => Ok(held),
        (None, None) => refuse("an image is a .hex (Intel HEX), an .elf or a .bin file".to_owned()),
    }
}
