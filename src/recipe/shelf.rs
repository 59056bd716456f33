//! Where the files of a recipe come from: a disk, or the inside of this program.

use std::path::{Component, Path, PathBuf};

use crate::{
    fault::Problem,
    file::{self, Read},
};

/// Finds files by path and reads each once.
pub trait Shelf {
    /// The whole file.
    ///
    /// # Errors
    /// If it is not there, cannot be read, or is larger than `limit` bytes.
    fn take(&self, path: &Path, limit: u64) -> Result<Read, Problem>;

    /// Whether there is such a file.
    fn holds(&self, path: &Path) -> bool;
}

/// The machine's own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Shelf for Disk {
    fn take(&self, path: &Path, limit: u64) -> Result<Read, Problem> {
        file::read(path, limit)
    }

    fn holds(&self, path: &Path) -> bool {
        path.exists()
    }
}

/// Files that travel inside the program, under the paths they have in the project.
#[derive(Clone, Copy, Debug)]
pub struct Carried(pub &'static [(&'static str, &'static [u8])]);

/// The products of the demo, with their stand-in images and key.
pub const STAND_INS: Carried = Carried(&[
    ("templates/products/gw3.toml", include_bytes!("../../templates/products/gw3.toml")),
    ("templates/products/gw3-old.toml", include_bytes!("../../templates/products/gw3-old.toml")),
    (
        "templates/products/images/stand-in-bootloader.hex",
        include_bytes!("../../templates/products/images/stand-in-bootloader.hex"),
    ),
    (
        "templates/products/images/stand-in-gw3-1.4.2.signed.hex",
        include_bytes!("../../templates/products/images/stand-in-gw3-1.4.2.signed.hex"),
    ),
    ("keys-public/gw3-root.pem", include_bytes!("../../keys-public/gw3-root.pem")),
]);

impl Carried {
    fn find(&self, path: &Path) -> Option<&'static [u8]> {
        let wanted = plain(path);
        self.0.iter().find(|(name, _)| Path::new(name) == wanted).map(|(_, bytes)| *bytes)
    }
}

impl Shelf for Carried {
    fn take(&self, path: &Path, limit: u64) -> Result<Read, Problem> {
        match self.find(path) {
            Some(bytes) if bytes.len() as u64 <= limit => Ok(Read::from_memory(plain(path), bytes.to_vec())),
            Some(_) => Err(Problem::new(path.display().to_string(), format!("is larger than {limit} bytes"))),
            None => Err(Problem::new(path.display().to_string(), "is not among the files inside this program")),
        }
    }

    fn holds(&self, path: &Path) -> bool {
        self.find(path).is_some()
    }
}

/// Without `.` and `..`, by the letters of the path alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => plain.push(part),
        }
    }
    plain
}
