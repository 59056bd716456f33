//! What checking a lot costs, once per lot: a bootloader with an RSA-3072 key inside and an application of 1 MB that the
//! key signed, read, verified, searched for refused keys and planned.
//!
//! Sizes are the same every time; wall time is that of the machine it ran on and is printed once.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the files of its own tree, and times")]

use std::{collections::HashMap, error::Error, fmt::Write as _, fs, path::Path, time::Instant};

use p256::pkcs8::Document;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PSS_SHA256, RsaKeyPair},
};
use rootstamp::{
    fault::{Problem, all_at_once},
    file::Read,
    ident::Digest,
    keys::AnyKey,
    plan,
    recipe::{self, Shelf},
};

/// Nearly all that an nRF52840 with 1 MiB has room for behind a bootloader of 48 KiB.
const PROGRAM: usize = 0xF_0000;

const SLOT: u32 = 0xC000;

fn main() -> Result<(), Box<dyn Error>> {
    let files = Files::new()?;
    let started = Instant::now();
    let product = recipe::read_from(&files, Path::new("lot.toml"), None).map_err(|all| all_at_once(&all))?;
    let read = started.elapsed();
    let lot = plan::lot(product).map_err(|all| all_at_once(&all))?;
    let planned = started.elapsed();
    let flashed: usize = lot.golden.regions.iter().map(|region| region.bytes.len()).sum();
    let sizes = |name: &str| files.0.get(name).map_or(0, Vec::len);
    println!("one lot: MCUboot with an RSA-3072 key inside, and an application signed with it; paid once per lot");
    println!("{:<48} {:>10}", "application, bytes; hashed, signature verified", sizes("app.bin"));
    println!("{:<48} {:>10}", "bootloader, bytes; searched for keys", sizes("boot.bin"));
    println!("{:<48} {flashed:>10}", "golden state, bytes");
    println!("{:<48} {:>10}", "wall time, recipe and files, us", read.as_micros());
    println!("{:<48} {:>10}", "wall time, plan, us", planned.saturating_sub(read).as_micros());
    Ok(())
}

/// The files of the lot by name.
struct Files(HashMap<String, Vec<u8>>);

impl Shelf for Files {
    fn take(&self, path: &Path, _limit: u64) -> Result<Read, Problem> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let bytes = self.0.get(name).ok_or_else(|| Problem::new(name, "cannot be opened"))?;
        Ok(Read::from_memory(name, bytes.clone()))
    }

    fn holds(&self, path: &Path) -> bool {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| self.0.contains_key(name))
    }
}

impl Files {
    fn new() -> Result<Self, Box<dyn Error>> {
        let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys");
        let key = AnyKey::from_spki(&fs::read(keys.join("rsa3072-a.spki.der"))?)
            .map_err(|bad| bad.problem("rsa3072-a.spki.der").to_string())?;
        let private = fs::read_to_string(keys.join("rsa3072-a.priv.pem"))?;
        let (_, private) = Document::from_pem(&private).map_err(|error| error.to_string())?;
        let mut bootloader =
            [vectors(0), 0x96F3_B83Du32.to_le_bytes().to_vec(), key.mcuboot_encoding().to_vec()].concat();
        bootloader.resize(2048, 0xFF);
        let application = application(&key, private.as_bytes())?;
        let recipe = recipe_of(&key, &bootloader, &application)?;
        Ok(Self(HashMap::from([
            ("lot.toml".to_owned(), recipe.into_bytes()),
            ("root.pem".to_owned(), fs::read(keys.join("rsa3072-a.pub.pem"))?),
            ("boot.bin".to_owned(), bootloader),
            ("app.bin".to_owned(), application),
        ])))
    }
}

fn vectors(at: u32) -> Vec<u8> {
    [0x2000_1000, at + 9, 0xE7FE_E7FE, 0xE7FE_E7FE].map(u32::to_le_bytes).concat()
}

/// As imgtool signs it, with a header of 32 bytes.
fn application(key: &AnyKey, private: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut program = vectors(SLOT + 32);
    // Bytes without a pattern, as in compiled code, and the same every time.
    let noise = (0u64..).flat_map(|index| index.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).to_le_bytes());
    program.extend(noise.take(PROGRAM - program.len()));
    let words = [0x96F3_B83D, 0, 32, u32::try_from(program.len())?, 0, 1, 0, 0];
    let mut signed: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    signed.extend(program);
    let pair = RsaKeyPair::from_pkcs8(private).map_err(|error| error.to_string())?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), &signed, &mut signature).map_err(|error| error.to_string())?;
    let entries = [(0x10, Digest::of(&signed).0.to_vec()), (0x02, key.mcuboot_encoding().to_vec()), (0x23, signature)];
    let mut area = Vec::new();
    for (kind, value) in entries {
        area.extend([u16::to_le_bytes(kind), u16::try_from(value.len())?.to_le_bytes()].concat());
        area.extend(value);
    }
    signed.extend([0x6907u16.to_le_bytes(), u16::try_from(area.len() + 4)?.to_le_bytes()].concat());
    signed.extend(area);
    Ok(signed)
}

fn recipe_of(key: &AnyKey, bootloader: &[u8], application: &[u8]) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "schema = 1\nproduct = \"B1\"\ntitle = \"Bench\"\nchip = \"nRF52840\"\nsilicon = { ships = \"closed\" }\n\
         arrives = \"blank\"\nserial = { pattern = \"B1-[0-9]{5}\" }\nlock = { approtect = true }\n",
    );
    writeln!(text, "[key.root]\nfile = \"root.pem\"\nspki_sha256 = \"{}\"", key.spki_sha256())?;
    writeln!(
        text,
        "[[image]]\nname = \"boot\"\nfile = \"boot.bin\"\nat = 0\nsha256 = \"{}\"\nis = \"mcuboot\"\n\
         keys = \"embedded\"\ntrusts = [\"root\"]",
        Digest::of(bootloader)
    )?;
    writeln!(
        text,
        "[[image]]\nname = \"app\"\nfile = \"app.bin\"\nat = {SLOT}\nsha256 = \"{}\"\nis = \"mcuboot-image\"\n\
         signed = \"root\"",
        Digest::of(application)
    )?;
    Ok(text)
}
