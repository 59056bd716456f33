//! One key per device, from the table to the board's own cells and to the list for the signer; and the release that
//! vouches for what is built.

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rootstamp::{
    export::keys::{DeviceKey, Recorded, merged, write},
    fault::{Exit, Problem},
    file::Read,
    ident::{Digest, Mode, Serial, bytes_from_hex, hex},
    image::dfu::patch::{Form, PLACEHOLDER},
    keys::{self, PublicKey},
    ledger::Disposition,
    manifest,
    plan::{self, Lot},
    recipe::{self, Disk, Product, Shelf},
    session::news::Verdict,
    virtual_board::{Latch, Silicon, Slot, lock},
};
use serde_json::{Value, json};

use crate::{
    keys::{
        der,
        published::{published, spki},
        secrets::{secret, silent},
    },
    ledger::{rootstamp, with_passed},
    line::{Line, virgin},
    manifest::envelope,
};

const AT: usize = 0x200;

fn vector(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys").join(name)).unwrap()
}

fn key(name: &str) -> PublicKey {
    keys::read(&Read::from_memory(name, vector(&format!("{name}.pub.pem")))).unwrap()
}

fn serial(text: &str) -> Serial {
    text.parse().unwrap()
}

/// A product of one bootloader with a place for each unit's key, to be spoilt.
#[derive(Clone)]
struct Files {
    recipe: String,
    files: HashMap<String, Vec<u8>>,
}

impl Shelf for Files {
    fn take(&self, path: &Path, _limit: u64) -> Result<Read, Problem> {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "lot.toml" {
            return Ok(Read::from_memory(path, self.recipe.clone().into()));
        }
        let bytes = self.files.get(name).ok_or_else(|| Problem::new(name, "cannot be opened"))?;
        Ok(Read::from_memory(path, bytes.clone()))
    }

    fn holds(&self, path: &Path) -> bool {
        self.files.contains_key(path.file_name().unwrap().to_str().unwrap())
    }
}

/// A product whose units have keys of their own, as files in one folder.
pub(crate) fn on_disk() -> crate::recipe::Lot {
    let keys = ["p256-a", "p256-b"].map(|name| hex(key(name).xy()));
    let table = format!("serial,key\nT1-00001,{}\nT1-00002,{}\n", keys[0], keys[1]);
    let Files { recipe, files } = Files::good().with("keys/table.csv", "table.csv").table(&table);
    crate::recipe::Lot { recipe, files }
}

/// Words that look like code, with these bytes where the key goes, and the curve as every such program holds it.
fn bootloader(inside: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..512_u32).flat_map(|word| word.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
    bytes[AT..AT + inside.len()].copy_from_slice(inside);
    let curve = bytes_from_hex(crate::dfu::GENERATOR).unwrap();
    for (at, coordinate) in [(0x400, &curve[..32]), (0x420, &curve[32..])] {
        for (byte, value) in bytes[at..at + 32].iter_mut().zip(coordinate.iter().rev()) {
            *byte = *value;
        }
    }
    bytes
}

impl Files {
    fn good() -> Self {
        let a = hex(&Form::Nrf5SdkLe.bytes(&key("p256-a")));
        let b = hex(&Form::Raw.bytes(&key("p256-b")));
        let table = format!("serial,key\r\nT1-00001,{a}\r\n\"T1-00002\",\"{b}\"\r\nT1-00003,units/p256-c.pub.pem\r\n");
        let recipe = r#"
schema  = 1
product = "T1"
title   = "One key per device"
chip    = "nRF52840"
silicon = { ships = "closed" }
arrives = "blank"
[serial]
pattern = "T1-[0-9]{5}"
[key.device]
select = { by = "serial", table = "keys/table.csv" }
[[image]]
name   = "bootloader"
file   = "bl.bin"
sha256 = "BOOTLOADER"
is     = "raw"
at     = 0
patch  = { at = 0x200, form = "nrf5sdk-le" }
[lock]
approtect = true
"#;
        let files = HashMap::from([
            ("table.csv".to_owned(), table.into_bytes()),
            ("p256-c.pub.pem".to_owned(), vector("p256-c.pub.pem")),
            ("p256-d.pub.pem".to_owned(), vector("p256-d.pub.pem")),
            ("p256-d.priv.pem".to_owned(), vector("p256-d.priv.pem")),
            ("ed25519-a.pub.pem".to_owned(), vector("ed25519-a.pub.pem")),
        ]);
        Self { recipe: recipe.to_owned(), files }.holding(PLACEHOLDER)
    }

    fn holding(mut self, inside: &[u8]) -> Self {
        let bytes = bootloader(inside);
        let old = self.files.get("bl.bin").map_or("BOOTLOADER".to_owned(), |old| Digest::of(old).to_string());
        self.recipe = self.recipe.replace(&old, &Digest::of(&bytes).to_string());
        self.files.insert("bl.bin".to_owned(), bytes);
        self
    }

    fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.recipe.contains(from), "{from}");
        self.recipe = self.recipe.replacen(from, to, 1);
        self
    }

    fn table(mut self, text: &str) -> Self {
        self.files.insert("table.csv".to_owned(), text.into());
        self
    }

    fn read(&self) -> Result<Product, Vec<Problem>> {
        recipe::read_from(self, Path::new("lot.toml"), Some(Mode::Training))
    }

    fn lot(&self) -> Lot {
        plan::lot(self.read().unwrap()).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn told(&self) -> Vec<String> {
        self.read().map(|product| product.code).unwrap_err().iter().map(ToString::to_string).collect()
    }
}

fn one(files: &Files, expected: &str) -> Problem {
    let problems = files.read().map(|product| product.code).unwrap_err();
    assert_eq!(problems.len(), 1, "{expected}: {problems:#?}");
    assert!(problems[0].what.contains(expected), "{expected}: {}", problems[0]);
    problems[0].clone()
}

#[test]
fn a_table_gives_each_unit_its_own_key_in_every_form_a_row_can_have() {
    let product = Files::good().read().unwrap();
    for (unit, name) in [("T1-00001", "p256-a"), ("T1-00002", "p256-b"), ("T1-00003", "p256-c")] {
        assert_eq!(product.key_for(&serial(unit)).unwrap(), Some(&key(name)));
        let map = product.patched(&product.images[0], &serial(unit)).unwrap();
        assert_eq!(Form::Nrf5SdkLe.key(map.bytes(0x200..0x240).unwrap()), Some(key(name)));
    }
    assert_eq!(product.key_for(&serial("T1-00004")).unwrap_err(), "T1-00004 has no key in `keys/table.csv`");
    assert_eq!(product.device_keys.as_ref().map(|keys| (keys.len(), keys.iter().count())), Some((3, 3)));
    let spki = format!("serial,key\nT1-00001,{}\nT1-00002,04{}\n", hex(key("p256-a").spki()), hex(key("p256-b").xy()));
    let product = Files::good().table(&spki).read().unwrap();
    assert_eq!(product.key_for(&serial("T1-00001")).unwrap(), Some(&key("p256-a")));
    assert_eq!(product.key_for(&serial("T1-00002")).unwrap(), Some(&key("p256-b")));
}

#[test]
fn another_table_is_another_recipe() {
    let one = Files::good().read().unwrap();
    let text = String::from_utf8(Files::good().files["table.csv"].clone()).unwrap();
    let other = Files::good().table(&text.replace("T1-00003", "T1-00009")).read().unwrap();
    assert_ne!(one.digest, other.digest);
    let same = Files::good().table(&text.replace('"', "").replace("\r\n", "\n")).read().unwrap();
    assert_eq!(one.digest, same.digest, "the same keys for the same units");
}

#[test]
fn everything_that_is_wrong_with_a_table_is_told_at_once_with_line_and_column() {
    let a = hex(key("p256-a").xy());
    let off = format!("{}00", &a[..126]);
    let secret = "11".repeat(32);
    let published = "60f417aabb6bb5b9058aec0570b83fedab1782d62072ae7d691f98dbeda28d65\
                     4c1d986cadcd593ad8901084900c1bbdcc4fff62b612b604c22672adcdae9b90";
    let table = format!(
        "serial,key\nT1-00001,{a}\nT1-00001,p256-c.pub.pem\nT1-00002,{a}\nX-1,p256-d.pub.pem\nT1-00003\nT1-00004,absent.pem\n\
         T1-00005,p256-d.priv.pem\nT1-00006,ed25519-a.pub.pem\nT1-00007,{off}\nT1-00008,{secret}\nT1-00009,{published}\n\
         T1-00010,{secret}{secret}ff\n\n"
    );
    let told = Files::good().table(&table).told();
    let expected = [
        "table.csv:3:1: this serial number has a key already, in line 2",
        "table.csv:4:10: this key is another unit's already, in line 2",
        "table.csv:5:1: 3 characters, 8 are expected",
        "table.csv:6:1: a row has two cells",
        "table.csv:7:10: the key file named here cannot be opened",
        "table.csv:8:10: the key file named here holds a private key",
        "table.csv:9:10: the key file named here is a public key, but Ed25519",
        "table.csv:10:10: these 64 bytes are no point of P-256, in neither order",
        "table.csv:11:10: 32 bytes are no public key, and could be a private one",
        "table.csv:12:10: this key is a published development key",
        "table.csv:13:10: this is not a public key",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for expected in expected {
        assert!(told.iter().any(|told| told.contains(expected)), "{expected}: {told:#?}");
    }
    assert!(!told.iter().any(|told| told.contains(&secret)), "what a cell holds is not repeated");
    let problems = Files::good().table(&table).read().map(|product| product.code).unwrap_err();
    let refused: Vec<_> =
        problems.iter().filter(|problem| problem.exit == Exit::KeyRefused).map(|it| it.line).collect();
    assert_eq!(refused, [Some(8), Some(11), Some(12)]);
}

/// A cell that is no key in hexadecimal digits is a file's name only if there is such a file.
#[test]
fn nothing_of_a_cell_is_told_however_a_private_half_is_written_in_it() {
    let secret = secret("p256-a");
    let pkcs8 = der("p256-a.priv.pem");
    let digits = hex(&secret);
    let likely = [
        format!("0x{digits}"),
        digits.to_uppercase(),
        STANDARD.encode(&secret),
        URL_SAFE_NO_PAD.encode(&secret),
        STANDARD.encode(&pkcs8),
        format!("0x{}", hex(&pkcs8)),
    ];
    for cell in &likely {
        let problem = one(&Files::good().table(&format!("serial,key\nT1-00001,{cell}\n")), "private");
        assert_eq!((problem.line, problem.column, problem.exit), (Some(2), Some(10), Exit::KeyRefused), "{problem}");
        silent(&problem.to_string(), &secret);
    }
    let spaced = secret.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
    for cell in
        [spaced.join(":"), spaced.join(" "), digits[1..].to_owned(), digits[..60].to_owned(), format!("k/{digits}.pem")]
    {
        let files = Files::good().table(&format!("serial,key\nT1-00001,{cell}\n"));
        silent(&one(&files, "").to_string(), &secret);
        // The disk names what it cannot open in a way of its own.
        let lot = tempfile::tempdir().unwrap();
        fs::create_dir(lot.path().join("keys")).unwrap();
        fs::write(lot.path().join("lot.toml"), &files.recipe).unwrap();
        fs::write(lot.path().join("keys/table.csv"), &files.files["table.csv"]).unwrap();
        fs::write(lot.path().join("bl.bin"), &files.files["bl.bin"]).unwrap();
        let problems = recipe::read_from(&Disk, &lot.path().join("lot.toml"), Some(Mode::Training)).unwrap_err();
        assert!(
            problems.iter().any(|problem| problem.what.contains("the key file named here cannot be opened")),
            "{problems:?}"
        );
        problems.iter().for_each(|problem| silent(&problem.to_string(), &secret));
    }
    let swapped = one(&Files::good().table(&format!("serial,key\n{},p256-c.pub.pem\n", digits.to_uppercase())), "");
    silent(&swapped.to_string(), &secret);
}

#[test]
fn a_table_that_is_none_is_told() {
    one(&Files::good().table(""), "the first line must be `serial,key`");
    one(&Files::good().table("serial,key\n"), "names no unit");
    one(&Files::good().table("key,serial\n"), "the first line must be");
    let noise: String = (0..200).map(|_| "x\n").collect();
    let told = Files::good().table(&format!("serial,key\n{noise}")).told();
    assert_eq!(told.len(), 51, "enough is enough");
    let rows = Files::good().table(&format!("serial,key\n{}", ",\n".repeat(250_001))).told();
    assert!(rows.iter().any(|told| told.contains("table.csv:250001:1: has more than 250000 lines")), "{rows:?}");
    let mut binary = Files::good();
    binary.files.insert("table.csv".to_owned(), vec![0xFF; 100]);
    one(&binary, "not UTF-8");
    let pin = Digest::of(b"another table");
    one(
        &Files::good().with("keys/table.csv\"", &format!("keys/table.csv\", sha256 = \"{pin}\"")),
        "not the pinned one",
    );
    let mut gone = Files::good();
    gone.files.remove("table.csv");
    one(&gone, "cannot be opened");
}

#[test]
fn a_key_of_all_units_is_no_units_own() {
    let root =
        format!("[key.root]\nfile = \"p256-c.pub.pem\"\nspki_sha256 = \"{}\"\n[[image]]", key("p256-c").spki_sha256());
    one(&Files::good().with("[[image]]", &root), "this is key `root` of the recipe");
}

#[test]
fn a_recipe_that_does_not_fit_together_is_told() {
    let patch = "patch  = { at = 0x200, form = \"nrf5sdk-le\" }";
    one(&Files::good().with(patch, ""), "no [[image]] has a `patch`");
    let device = "[key.device]\nselect = { by = \"serial\", table = \"keys/table.csv\" }\n";
    one(&Files::good().with(device, ""), "there is no [key.device]");
    one(&Files::good().with("by = \"serial\"", "by = \"device\""), "one of: serial");
    one(&Files::good().with("\"nrf5sdk-le\"", "\"nrf5sdk\""), "did you mean `nrf5sdk-le`?");
    one(&Files::good().with("0x200, form", "0x204, form"), "neither a P-256 key in this form nor the placeholder");
    one(&Files::good().with("select = {", "file = \"p256-a.pub.pem\"\nselect = {"), "each unit's own key");
    one(&Files::good().holding(&[0xFF; 64]), "erased flash");
    let two = [&PLACEHOLDER[..], &Form::Nrf5SdkLe.bytes(&key("p256-d"))].concat();
    one(&Files::good().holding(&two), "only one key may be inside");
    assert!(Files::good().holding(&Form::Nrf5SdkLe.bytes(&key("p256-d"))).read().is_ok(), "a key is a place too");
    let image = "[[image]]\nname = \"second\"\nfile = \"bl.bin\"\nis = \"raw\"\nat = 0x8000\npatch = { at = 0x8200, form = \"nrf5sdk-le\" }\n";
    let digest = Digest::of(&bootloader(PLACEHOLDER));
    one(
        &Files::good().with("[lock]", &format!("{image}sha256 = \"{digest}\"\n[lock]")),
        "a second image with a `patch`",
    );
    let hash = "[stamp.key_hash]\nkey = \"device\"\nform = \"spki-sha256\"\nat = \"uicr.customer[0]\"\nread_by = \"app\"\n[lock]";
    one(&Files::good().with("[lock]", hash), "`device` is another key on each unit");
    let root = "[key.root]\nselect = { by = \"serial\", table = \"t.csv\" }\n[[image]]";
    assert!(Files::good().with("[[image]]", root).told().iter().any(|told| told.contains("belongs into [key.device]")));
}

#[test]
fn two_units_of_a_line_carry_their_own_keys_and_the_signer_gets_the_list() {
    let lot = Arc::new(Files::good().lot());
    let slot = Slot::with(virgin(Silicon::Hardened, Latch::Strict, 0x11)).shared();
    let mut line = Line::new(Arc::clone(&lot), slot);
    for (unit, name, device) in [("T1-00001", "p256-a", 0x11), ("T1-00002", "p256-b", 0x22)] {
        line.put_in(virgin(Silicon::Hardened, Latch::Strict, device));
        let outcome = line.scan(unit);
        assert_eq!(outcome.verdict, Verdict::Pass, "{:?}", outcome.fault);
        assert_eq!(outcome.key, Some(key(name).spki_sha256()));
        let slot = lock(&line.slot);
        let flash = slot.board().unwrap().flash();
        assert_eq!(flash[AT..AT + 64], Form::Nrf5SdkLe.bytes(&key(name)), "the board's own cells");
        assert_eq!(flash[AT + 64..2048], bootloader(&[])[AT + 64..]);
    }
    line.put_in(virgin(Silicon::Hardened, Latch::Strict, 0x33));
    let outcome = line.scan("T1-00004");
    let fault = outcome.fault.unwrap();
    assert_eq!((outcome.verdict, fault.code.as_str(), fault.exit), (Verdict::Hold, "C-141", Exit::KeyRefused));
    assert!(lock(&line.slot).board().unwrap().flash().iter().all(|byte| *byte == 0xFF), "nothing was touched");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.csv");
    let ledger = line.ledger.lock().unwrap();
    let field = imported("T0-00007", "00000000000000aa", "p256-d");
    let (_, devices) = write(ledger.records(), &[field], None, &path).unwrap();
    assert_eq!(devices, 3);
    let text = fs::read_to_string(&path).unwrap();
    let row = |name: &str| format!("\"{}\",\"{}\"", key(name).spki_sha256(), hex(key(name).spki()));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "\"serial\",\"device_id\",\"spki_sha256\",\"key\",\"mode\",\"source\"");
    assert_eq!(lines[1], format!("\"T0-00007\",\"00000000000000aa\",{},\"\",\"field.csv:2\"", row("p256-d")));
    assert!(
        lines[2].starts_with(&format!("\"T1-00001\",\"0000000000000011\",{},\"training\",\"record ", row("p256-a"))),
        "{text}"
    );
    assert!(
        lines[3].starts_with(&format!("\"T1-00002\",\"0000000000000022\",{},\"training\",\"record ", row("p256-b"))),
        "{text}"
    );

    // The list can be taken back in, and what it says of recorded units is the same.
    let again = folder.path().join("again.csv");
    let list = Read::from_memory("keys.csv", text.into_bytes());
    assert_eq!(write(ledger.records(), &[list], None, &again).unwrap().1, 3);
    // A field list that gives a recorded unit another key is not merged, and nothing is written.
    let other = folder.path().join("other.csv");
    let fault = write(ledger.records(), &[imported("T1-00001", "", "p256-d")], None, &other).unwrap_err();
    assert_eq!((fault.code.as_str(), other.exists()), ("L-145", false));
    assert!(fault.causes[0].contains("T1-00001 has another key or device in record "), "{fault}");
}

/// A unit that was built here and taken out of service trusts what it was given: no list from elsewhere brings it back.
#[test]
fn an_imported_list_brings_no_unit_back_that_the_records_took_out_of_service() {
    let lot = Arc::new(Files::good().lot());
    let mut line = Line::new(lot, Slot::with(virgin(Silicon::Hardened, Latch::Strict, 0x11)).shared());
    assert_eq!(line.scan("T1-00001").verdict, Verdict::Pass);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("before.csv");
    write(line.ledger.lock().unwrap().records(), &[], None, &path).unwrap();
    let before = Read::from_memory("before.csv", fs::read(&path).unwrap());
    line.dispose("T1-00001", Disposition::Void);
    let ledger = line.ledger.lock().unwrap();
    assert_eq!(write(ledger.records(), &[], None, &folder.path().join("after.csv")).unwrap().1, 0);
    let fault = write(ledger.records(), &[before], None, &folder.path().join("both.csv")).unwrap_err();
    assert_eq!((fault.code.as_str(), fault.causes.len()), ("L-145", 1), "{fault}");
    assert!(fault.causes[0].contains("before.csv:2:1: T1-00001 is void, in record "), "{fault}");
    // Nor does it bring device or key back under another label.
    for (device, name, expected) in [
        ("0000000000000011", "p256-d", "this device is that of T1-00001, void, in record "),
        ("00000000000000aa", "p256-a", "this key is that of T1-00001, void, in record "),
    ] {
        let other = [imported("X-1", device, name)];
        let fault = write(ledger.records(), &other, None, &folder.path().join("both.csv")).unwrap_err();
        assert!(fault.causes.len() == 1 && fault.causes[0].contains(expected), "{fault}");
    }
    assert!(!folder.path().join("both.csv").exists());
}

#[test]
fn a_list_that_virtual_boards_made_is_not_merged_into_one_of_production() {
    let header = HEADER.trim_end();
    let row = field_row("F-1", "", "p256-a").trim_end().to_owned();
    let list = |mode: &str| {
        vec![Read::from_memory("field.csv", format!("{header},mode,source\n{row},{mode},record 4\n").into())]
    };
    let told = |records, mode| merged(Recorded::empty(records), &list(mode)).map_err(|told| told[0].to_string());
    assert_eq!(told(Mode::Production, "production").unwrap()[0].mode, Some(Mode::Production));
    assert_eq!(told(Mode::Production, "").unwrap()[0].mode, None, "nobody said it");
    let without = merged(Recorded::empty(Mode::Production), &[imported("F-1", "", "p256-a")]).unwrap();
    assert_eq!(without[0].mode, None, "a list from before there was this column may be of any mode");
    for mode in ["training", "engineering", "Production", "x"] {
        let told = told(Mode::Production, mode).unwrap_err();
        assert!(told.starts_with("field.csv:2:1: `mode` is another than production"), "{told}");
    }
    let told =
        merged(Recorded::empty(Mode::Production), &[Read::from_memory("f.csv", format!("{header},moda\n").into())]);
    assert!(told.unwrap_err()[0].what.starts_with("the first line must be"));
}

const HEADER: &str = "serial,device_id,spki_sha256,key\n";

fn imported(serial: &str, device: &str, name: &str) -> Read {
    Read::from_memory("field.csv", format!("{HEADER}{}", field_row(serial, device, name)).into_bytes())
}

fn field_row(serial: &str, device: &str, name: &str) -> String {
    format!("{serial},{device},{},{}\n", key(name).spki_sha256(), hex(key(name).spki()))
}

#[test]
fn a_list_of_field_devices_that_contradicts_itself_is_told_line_by_line() {
    let told = |text: String| -> Vec<Problem> {
        merged(Recorded::empty(Mode::Training), &[Read::from_memory("field.csv", text.into())]).unwrap_err()
    };
    let spki = hex(key("p256-a").spki());
    let digest = key("p256-a").spki_sha256();
    let published = "3059301306072a8648ce3d020106082a8648ce3d03010703420004658da2eddb981f697dae7220d68217abed3fb87005ec8a05b9b56bbbaa17f460909baecdad7226c204b612b662ff4fccbd1b0c90841090d83a59cdad6c981d4c";
    let refused = "258010176e1aea2eac8ed342170e904661afca61e8c79d38863892e804584bf3";
    let text = [
        HEADER.to_owned(),
        field_row("F-1", "00000000000000aa", "p256-a"),
        field_row("F-2", "00000000000000aa", "p256-b"),
        field_row("F-3", "00000000000000bb", "p256-a"),
        field_row("F-1", "00000000000000aa", "p256-c"),
        format!("F-4,zz,{digest},{spki}\n"),
        format!("F-5,,{},{spki}\n", Digest::of(b"x")),
        format!("F-6,,{digest},\n"),
        format!("F-7,,{digest},{spki},\n"),
        format!("F-8,,{refused},{published}\n"),
        format!("F 9,,{digest},{spki}\n"),
    ]
    .concat();
    let problems = told(text);
    let expected = [
        (3, "this device is that of F-1, in field.csv:2"),
        (4, "this key is that of F-1, in field.csv:2"),
        (5, "F-1 has another key or device in field.csv:2"),
        (6, "a device id is written as 16"),
        (7, "not that of `spki_sha256`"),
        (8, "`key` must be a SubjectPublicKeyInfo"),
        (9, "more cells than the 4 columns"),
        (10, "published development key"),
        (11, "only A-Z, 0-9 and - are allowed"),
    ];
    for (line, expected) in expected {
        let found = problems.iter().any(|problem| problem.line == Some(line) && problem.what.contains(expected));
        assert!(found, "{line} {expected}: {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    assert!(told("serial,key\n".to_owned())[0].what.contains("the first line must be"));
    let known: Vec<DeviceKey> = merged(
        Recorded::empty(Mode::Training),
        &[imported("F-1", "", "p256-a"), imported("F-1", "00000000000000aa", "p256-a")],
    )
    .unwrap();
    assert_eq!(known.len(), 1, "the same device twice is one");
}

#[test]
fn a_row_of_a_field_list_is_one_line_whatever_its_quotation_marks_say() {
    let row = field_row("F-1", "", "p256-a").trim_end().replace(',', "\",\"");
    let list = |text: String| merged(Recorded::empty(Mode::Training), &[Read::from_memory("field.csv", text.into())]);
    let header = format!("{},source\n", HEADER.trim_end());
    let devices = list(format!("{header}\n\"{row}\",\"a, \"\"b\"\".csv:2\"\r\n")).unwrap();
    assert_eq!((devices.len(), devices[0].source.as_str()), (1, "field.csv:3"));
    let problems = list(format!("{HEADER}\"F-2,\n{}", field_row("F-3", "", "p256-a"))).unwrap_err();
    assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(2)], "{problems:?}");
    let long = list(format!("{HEADER}{}{row}", "\n".repeat(500_000))).unwrap_err();
    assert!(long[0].what.contains("has more than 500000 lines"), "{long:?}");
    let wide = list(format!("{HEADER}{}\n", ",".repeat(1 << 20))).unwrap_err();
    assert_eq!((wide.len(), wide[0].line), (1, Some(2)), "{wide:?}");
}

#[test]
fn a_row_of_more_cells_than_its_list_has_columns_is_told() {
    let row = field_row("F-1", "", "p256-a").trim_end().to_owned();
    for (columns, behind) in [
        ("", ",training"),
        (",mode", ",training,record 4"),
        (",source", ",training,record 4"),
        (",mode,source", ",training,a,b.csv:2"),
        (",mode,source", ",training,\"a\",b.csv:2,\"x"),
    ] {
        let list = format!("{}{columns}\n{row}{behind}\n", HEADER.trim_end());
        let told = merged(Recorded::empty(Mode::Training), &[Read::from_memory("field.csv", list.into())]).unwrap_err();
        assert_eq!((told.len(), told[0].line), (1, Some(2)), "{told:?}");
        assert!(told[0].what.starts_with("this row has more cells than the "), "{told:?}");
    }
}

#[test]
fn a_device_id_that_a_later_row_adds_is_kept_and_taken() {
    let rows = |rows: &[(&str, &str, &str)]| {
        let rows: String = rows.iter().map(|(serial, device, name)| field_row(serial, device, name)).collect();
        [Read::from_memory("field.csv", format!("{HEADER}{rows}").into_bytes())]
    };
    let known = ("A-1", "", "p256-a");
    let named = ("A-1", "0011223344556677", "p256-a");
    let other = ("B-1", "0011223344556677", "p256-b");
    let devices = merged(Recorded::empty(Mode::Training), &rows(&[known, named, known])).unwrap();
    let ids: Vec<_> = devices.iter().map(|device| device.device_id.map(|id| id.to_string())).collect();
    assert_eq!(ids, [Some("0011223344556677".to_owned())]);
    for (order, line, expected) in [
        ([known, named, other], 4, "this device is that of A-1, in field.csv:2"),
        ([known, other, named], 4, "this device is that of B-1, in field.csv:3"),
        ([other, known, named], 4, "this device is that of B-1, in field.csv:2"),
        ([known, named, ("A-1", "00000000000000aa", "p256-a")], 4, "A-1 has another key or device in field.csv:2"),
    ] {
        let told = merged(Recorded::empty(Mode::Training), &rows(&order)).unwrap_err();
        assert_eq!((told.len(), told[0].line), (1, Some(line)), "{told:?}");
        assert!(told[0].what.starts_with(expected), "{told:?}");
    }

    // A record stays as it is; the device that a list names for it is taken nevertheless.
    let passed = merged(Recorded::empty(Mode::Training), &rows(&[known])).unwrap();
    let recorded = Recorded { passed: passed.clone(), ..Recorded::empty(Mode::Training) };
    assert_eq!(merged(recorded.clone(), &rows(&[named])).unwrap(), passed);
    assert_eq!(merged(recorded.clone(), &rows(&[named, other])).unwrap_err().len(), 1);
    assert_eq!(merged(recorded, &rows(&[named, ("A-1", "00000000000000aa", "p256-a")])).unwrap_err().len(), 1);
}

/// A list has no place for one: wherever it stands, the file is no list.
#[test]
fn a_private_half_anywhere_in_a_list_of_field_devices_is_refused_and_nothing_of_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        Line::new(Arc::new(Files::good().lot()), Slot::with(virgin(Silicon::Hardened, Latch::Strict, 0x11)).shared());
    let ledger = line.ledger.lock().unwrap();
    let secret = secret("p256-a");
    let row = field_row("F-1", "", "p256-a").trim_end().to_owned();
    let with = |behind: &str| format!("{},mode,source\n{row},,{behind}\n", HEADER.trim_end());
    let pem = String::from_utf8(vector("p256-a.priv.pem")).unwrap();
    let jwk = String::from_utf8(vector("p256-a.jwk")).unwrap();
    let many: String =
        (0..500_u32).map(|index| format!("F-{index},,{},\n", Digest::of(&index.to_le_bytes()))).collect();
    let others = published().iter().map(spki);
    let field: String = others.map(|key| format!("F-1,,{},{}\n", Digest::of(&key), hex(&key))).collect();
    for list in [
        with(&hex(&der("p256-a.priv.pem"))),
        with(&hex(&secret)),
        with(&STANDARD.encode(der("p256-a.sec1.pem"))),
        with(&pem),
        with(&jwk.replace('\n', "")),
        with("x,y") + &pem,
        format!("{}\n{}", hex(&der("p256-a.priv.pem")), with("")),
        format!("{HEADER}F-7,,{},{}\n", key("p256-a").spki_sha256(), hex(&vector("p256-a.encrypted.der"))),
        format!("{HEADER}{row}\n{pem}\n{many}"),
        format!("{HEADER}{many}{}", with(&jwk.replace('\n', ""))),
        format!("{HEADER}{many}{row},{}\n", hex(&secret)),
        format!("{HEADER}{field}{row},{}\n", STANDARD.encode(&secret)),
    ] {
        let out = folder.path().join("keys.csv");
        let list = [Read::from_memory("field.csv", list.into_bytes())];
        let fault = write(ledger.records(), &list, None, &out).unwrap_err();
        assert_eq!((fault.code.as_str(), fault.exit, out.exists()), ("L-145", Exit::KeyRefused, false), "{fault}");
        assert_eq!(fault.causes.len(), 1, "{fault}");
        assert!(fault.causes[0].starts_with("field.csv: ") && fault.causes[0].contains("private key"), "{fault}");
        silent(&fault.to_string(), &secret);
    }
}

#[test]
fn a_key_that_no_device_can_verify_with_is_no_devices_own() {
    for (name, expected) in [
        ("x25519-a", "`key` is X25519, which signs nothing"),
        ("ed25519-a", "`key` is Ed25519; a device's own key is P-256"),
    ] {
        let key = keys::read_any(&Read::from_memory(name, vector(&format!("{name}.pub.pem")))).unwrap().key;
        let list = format!("{HEADER}F-1,,{},{}\n", key.spki_sha256(), hex(key.spki()));
        let told = merged(Recorded::empty(Mode::Training), &[Read::from_memory("field.csv", list.into())]).unwrap_err();
        assert!(told.len() == 1 && told[0].what.starts_with(expected), "{told:?}");
    }
}

/// A release of the bootloader, spoilt, signed by p256-b.
fn released(spoil: impl Fn(&mut Value)) -> Files {
    let digest = Digest::of(&bootloader(PLACEHOLDER));
    let mut statement = json!({
        "_type": manifest::STATEMENT_TYPE,
        "subject": [{ "name": "bl.bin", "digest": { "sha256": digest.to_string() } }],
        "predicateType": manifest::PREDICATE_TYPE,
        "predicate": {
            "release": "7", "build": "ci 1", "board": { "product": "T1", "chip": "nRF52840" },
            "images": [{ "subject": "bl.bin", "is": "raw" }], "keys": [],
        },
    });
    spoil(&mut statement);
    let section = format!(
        "[key.ci]\nfile = \"p256-b.pub.pem\"\nspki_sha256 = \"{}\"\n[release]\nmanifest = \"release.json\"\nkeys = [\"ci\"]\n[[image]]",
        key("p256-b").spki_sha256()
    );
    let mut files =
        Files::good().table(&format!("serial,key\nT1-00001,{}\n", hex(key("p256-a").xy()))).with("[[image]]", &section);
    files.files.insert("p256-b.pub.pem".to_owned(), vector("p256-b.pub.pem"));
    files.files.insert("release.json".to_owned(), envelope(&serde_json::to_vec(&statement).unwrap(), &["p256-b"]));
    files
}

#[test]
fn a_station_builds_what_the_release_vouches_for_and_nothing_else() {
    let product = released(|_| ()).read().unwrap();
    let release = product.release.as_ref().unwrap();
    assert_eq!((release.release.as_str(), &release.signed_by[..]), ("7", &["ci".to_owned()][..]));
    assert_ne!(product.digest, released(|it| it["predicate"]["build"] = "ci 2".into()).read().unwrap().digest);

    let contradicted = |spoil: &dyn Fn(&mut Value), expected: &str| {
        let problem = one(&released(spoil), expected);
        assert!(problem.file == "lot.toml" && problem.what.contains("`release.json`"), "{problem}");
    };
    contradicted(&|it| it["predicate"]["board"]["product"] = "T2".into(), "is a release for T2, not for T1");
    contradicted(&|it| it["predicate"]["board"]["chip"] = "nRF52832".into(), "is a release for nRF52832");
    contradicted(&|it| it["subject"][0]["digest"]["sha256"] = "00".repeat(32).into(), "`bl.bin` (SHA-256 ");
    contradicted(
        &|it| it["predicate"]["images"][0]["is"] = "mcuboot".into(),
        "has the kind raw, `release.json` says mcuboot",
    );
    contradicted(&|it| it["predicate"]["images"][0]["version"] = "1.0.0+0".into(), "has version none");
    contradicted(&|it| it["predicate"]["images"][0]["security_counter"] = 1.into(), "has security counter none");
    contradicted(&|it| it["predicate"]["images"][0]["signed"] = "00".repeat(32).into(), "has signer none");
    contradicted(&|it| it["predicateType"] = "x".into(), "`release.json` no release manifest");
}

#[test]
fn a_release_section_that_does_not_fit_is_told() {
    one(&released(|_| ()).with("keys = [\"ci\"]", "keys = [\"cj\"]"), "no key is called `cj`; did you mean `ci`?");
    one(&released(|_| ()).with("keys = [\"ci\"]", "keys = [\"device\"]"), "no key is called `device`");
    one(&released(|_| ()).with("keys = [\"ci\"]", "keys = [\"ci\"]\nthreshold = 2"), "must be from 1 to 1");
    one(&released(|_| ()).with("keys = [\"ci\"]", "keys = [\"ci\"]\nthreshold = 0"), "must be from 1 to 1");
    one(&released(|_| ()).with("manifest = \"release.json\"", "manifest = \"gone.json\""), "cannot be opened");
    let mut forged = released(|_| ());
    forged.files.insert("release.json".to_owned(), envelope(b"{}", &["p256-c"]));
    assert_eq!(one(&forged, "is signed by 0 of the release keys ci").exit, Exit::KeyRefused);
    let x = keys::read_any(&Read::from_memory("x", vector("x25519-a.pub.pem"))).unwrap().key.spki_sha256();
    let mut files = released(|_| ())
        .with("p256-b.pub.pem", "x25519-a.pub.pem")
        .with(&key("p256-b").spki_sha256().to_string(), &x.to_string());
    files.files.insert("x25519-a.pub.pem".to_owned(), vector("x25519-a.pub.pem"));
    assert!(files.told().iter().any(|told| told.contains("which signs nothing")), "{:?}", files.told());
}

#[test]
fn the_command_line_writes_the_list_and_merges_what_is_imported() {
    let data = with_passed(2);
    let field = data.path().join("field.csv");
    fs::write(&field, &imported("F-1", "", "p256-a").bytes).unwrap();
    let run = |format: &str, out: &str, import: &[&str]| {
        let out = data.path().join(out);
        let arguments = [&["export", "--format", format, "--out", out.to_str().unwrap()], import].concat();
        let output = rootstamp(&arguments, data.path());
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };
    let import = ["--import", field.to_str().unwrap()];
    let (exit, told) = run("keys-csv", "keys.csv", &import);
    assert_eq!(exit, Some(0), "{told}");
    assert!(told.contains(" devices, "), "{told}");
    assert!(fs::read_to_string(data.path().join("keys.csv")).unwrap().contains("\"F-1\",\"\","));
    let (exit, told) = run("csv", "more.csv", &import);
    assert!(exit == Some(2) && told.contains("L-146"), "{told}");
    let (exit, told) = run("keys-csv", "again.csv", &["--import", "absent.csv"]);
    assert!(exit == Some(2) && told.contains("absent.csv"), "{told}");
}
