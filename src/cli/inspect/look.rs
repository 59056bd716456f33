//! What is this file? Decided by what it holds; its name only where that leaves a choice, and then it is said.

use clap::ValueEnum;
use memchr::memmem;

use super::{
    memory::{Container, ImageReport},
    packed,
    report::{Content, Facts, KeyReport, Told},
};
use crate::{
    fault::{Exit, Problem},
    file::Read,
    image::{
        Map, dfu, elf,
        kmu::{self, Metadata, Source},
        mcuboot,
        nsib::{self, Dump, Provision},
        scan, update, vectors,
    },
    keys::{
        self, Algorithm, AnyKey, Given, private,
        refuse::{RefuseList, Sighting},
    },
    manifest,
};

/// What bytes that do not say what they are shall be taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum RawKey {
    /// 32 bytes of an Ed25519 key.
    Ed25519,
    /// 32 bytes of an X25519 key.
    X25519,
    /// X and Y of a P-256 key, big-endian.
    P256Raw,
    /// X and Y of a P-256 key, each with its last byte first.
    Nrf5Sdk,
}

/// Everything that the answer depends on beside the file.
pub(super) struct Asked {
    pub(super) list: RefuseList,
    /// Keys of the command line, with the names of their files.
    pub(super) keys: Vec<(String, AnyKey)>,
    /// Where raw bytes begin, if it was said.
    pub(super) at: Option<u32>,
    pub(super) raw_key: Option<RawKey>,
}

/// The answer, and what it rests on.
pub(super) struct Looked {
    pub(super) content: Content,
    pub(super) told_by: &'static str,
}

pub(super) const CONTENTS: &str = "its contents";
const NAME: &str = "its name alone; its contents do not say";
const ASKED: &str = "the command line; its contents do not say";

fn by_contents(content: Content) -> Looked {
    Looked { content, told_by: CONTENTS }
}

/// Looks at one file, and whatever it is, for keys in it that nobody may use.
pub(super) fn look(file: &Read, asked: &Asked) -> Looked {
    if file.bytes.is_empty() {
        return by_contents(Content::refused(Problem::new(file.name(), "is empty")));
    }
    if let Some(kind) = asked.raw_key {
        return Looked { content: as_asked(file, kind, asked), told_by: ASKED };
    }
    let content = memory_by_itself(file, asked).or_else(|| package(file, asked)).or_else(|| json(file, asked));
    if let Some(content) = content {
        return by_contents(searched(file, content, asked, false));
    }
    let content = key(file, asked).or_else(|| small(file, asked));
    let Looked { content, told_by } = content.map_or_else(|| by_name(file, asked), by_contents);
    // The reader of keys was asked, and it looks for private halves in everything that is small enough for it.
    let looked = file.bytes.len() as u64 <= keys::FILE_LIMIT;
    Looked { content: searched(file, content, asked, looked), told_by }
}

/// What a format's reader did not look at: comments, members and files that it does not know, and everything in a file
/// that it gave up. Memory and keys were searched by whoever read them.
fn searched(file: &Read, content: Content, asked: &Asked, looked: bool) -> Content {
    let private = || if looked { None } else { private_half(file) };
    match content {
        Content::Image(_) => content,
        Content::DfuPackage(mut told) => {
            told.add_files(file, &asked.list);
            told.add_beside(file, &asked.list);
            Content::DfuPackage(told)
        }
        Content::UpdatePackage(mut told) => {
            told.add_files(file, &asked.list);
            told.add_beside(file, &asked.list);
            // What the manifest says is shown, and may be a secret itself.
            let private = told.problems.iter().find(|problem| problem.exit == Exit::KeyRefused).cloned();
            private.map_or(Content::UpdatePackage(told), Content::refused)
        }
        Content::ReleaseManifest(mut told) => private().map_or_else(
            || {
                told.add(&asked.list.search_file(&file.bytes), "");
                Content::ReleaseManifest(told)
            },
            Content::refused,
        ),
        Content::PublicKey(_)
        | Content::Unknown(_)
        | Content::KmuKeyFile(_)
        | Content::KmuSlot(_)
        | Content::DfuInit(_) => private().map_or(content, Content::refused),
        Content::Refused { problems } if problems.iter().any(|problem| problem.exit == Exit::KeyRefused) => {
            Content::Refused { problems }
        }
        Content::Refused { problems } => match private().map_or_else(|| packed::searched(file, &asked.list), Err) {
            Ok(packed) => given_up(file, packed, problems, asked),
            Err(private) => Content::refused(private),
        },
    }
}

/// That a private half is anywhere in this file.
fn private_half(file: &Read) -> Option<Problem> {
    let form = private::form_of_file(&file.bytes)?;
    Some(Problem::new(file.name(), keys::NotOurs::Private(form).to_string()).exit(Exit::KeyRefused))
}

/// A file that claims to be of a format and is not whole: told as it was, unless a refused key is in it or in what it packs.
fn given_up(file: &Read, packed: Vec<Sighting<'_>>, problems: Vec<Problem>, asked: &Asked) -> Content {
    let mut found = asked.list.search_file(&file.bytes);
    found.extend(packed);
    if found.is_empty() {
        return Content::Refused { problems };
    }
    Content::Unknown(Told::unknown(Facts::of(&file.bytes), &found, problems))
}

/// Memory that says that it is.
fn memory_by_itself(file: &Read, asked: &Asked) -> Option<Content> {
    Some(match memory(file, asked.at)? {
        (Ok(map), Container::Elf) => {
            let report = ImageReport::new(&map, Container::Elf, asked);
            Content::Image(Box::new(report.beside(&elf::beside(file, &asked.list))))
        }
        (map, container) => image(map, container, asked),
    })
}

/// A file that is memory because somebody says so: as its contents describe it, or raw. Several that travel together are
/// searched for as long as one is.
pub(super) fn part(file: &Read, asked: &Asked, room: &mut scan::Room) -> Content {
    let (map, container) = memory(file, asked.at).unwrap_or_else(|| (raw(file, asked), Container::Raw));
    match map {
        Ok(map) => {
            let report = ImageReport::within(&map, container, asked, room);
            Content::Image(Box::new(match container {
                Container::Elf => report.beside(&elf::beside(file, &asked.list)),
                Container::IntelHex | Container::Raw => report,
            }))
        }
        Err(problems) => Content::Refused { problems },
    }
}

/// What this file describes of memory, if it says that it does, and in which form.
pub(super) fn memory(file: &Read, at: Option<u32>) -> Option<(Result<Map, Vec<Problem>>, Container)> {
    if elf::begins(&file.bytes) {
        return Some((Map::from_elf(file), Container::Elf));
    }
    if begins_as_hex(&file.bytes) {
        return Some((Map::from_hex(file), Container::IntelHex));
    }
    // A map is a copy, and a large file may be nothing at all: a look at its first words comes before.
    let first = u32::from_le_bytes(*file.bytes.first_chunk()?);
    if first != mcuboot::MAGIC && !vectors::SRAM.contains(&first) {
        return None;
    }
    let map = Map::from_raw(file, at.unwrap_or_default()).ok()?;
    let starts = || vectors::read(&map, map.first(), &vectors::SRAM).is_ok();
    (mcuboot::begins(&map, map.first()) || starts()).then_some((Ok(map), Container::Raw))
}

/// A colon, and text at least as far as the shortest record reaches, which has eleven characters: a key may begin with a
/// colon too.
fn begins_as_hex(bytes: &[u8]) -> bool {
    let text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let begun = bytes.trim_ascii_start();
    begun.starts_with(b":") && begun.iter().take(FIRST_RECORD).all(text)
}

/// How much of a record is looked at; a comment behind it may be in any encoding.
const FIRST_RECORD: usize = 11;

fn raw(file: &Read, asked: &Asked) -> Result<Map, Vec<Problem>> {
    Map::from_raw(file, asked.at.unwrap_or_default())
}

fn image(map: Result<Map, Vec<Problem>>, container: Container, asked: &Asked) -> Content {
    match map {
        Ok(map) => Content::Image(Box::new(ImageReport::new(&map, container, asked))),
        Err(problems) => Content::Refused { problems },
    }
}

fn package(file: &Read, asked: &Asked) -> Option<Content> {
    if let Some(read) = update::read(file) {
        return Some(
            read.map_or_else(Content::refused_all, |package| Content::UpdatePackage(Box::new(Told::update(package)))),
        );
    }
    dfu::begins(file).then(|| match dfu::read(file) {
        Ok(package) => Content::DfuPackage(Box::new(Told::package(package, asked))),
        Err(problem) => Content::refused(problem),
    })
}

fn json(file: &Read, asked: &Asked) -> Option<Content> {
    if !file.bytes.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    if manifest::begins(file) {
        return Some(Told::manifest(file, asked).map_or_else(|bad| unlike(file, bad, asked), Content::ReleaseManifest));
    }
    holds(file, b"\"keyslots\"").then(|| match kmu::KeyFile::read(file) {
        Ok(read) => Content::KmuKeyFile(Told::key_file(file, read, &asked.list)),
        Err(problem) if problem.exit == Exit::KeyRefused => Content::refused(problem),
        Err(problem) => unlike(file, problem, asked),
    })
}

fn holds(file: &Read, word: &[u8]) -> bool {
    memmem::find(&file.bytes, word).is_some()
}

/// A key, or a file that would hold one if it were whole.
fn key(file: &Read, asked: &Asked) -> Option<Content> {
    let named = ["pem", "der", "pub", "crt", "cer"].contains(&extension(file).as_str());
    let begins = file.bytes.first() == Some(&DER_SEQUENCE) && extension(file) != "bin";
    let claims = named || begins || holds(file, PEM);
    match keys::read_any(file) {
        Ok(given) => Some(Content::PublicKey(Box::new(KeyReport::new(&given, &given.describe(), &asked.list)))),
        Err(problem) if problem.exit == Exit::KeyRefused => Some(Content::refused(problem)),
        Err(problem) if claims => Some(unlike(file, problem, asked)),
        Err(_) => None,
    }
}

/// What every key and certificate in DER begins with.
const DER_SEQUENCE: u8 = 0x30;
const PEM: &[u8] = b"-----BEGIN ";

/// What is known by its exact length or grammar alone.
fn small(file: &Read, asked: &Asked) -> Option<Content> {
    if let Some(content) = written_in_digits(file, asked) {
        return Some(content);
    }
    if let Ok(init) = dfu::Init::read(&file.bytes) {
        return Some(Content::DfuInit(Told::init(file, init, asked)));
    }
    if let Some(source) = key_slot(&file.bytes) {
        return Some(Content::KmuSlot(Told::slot(file, &source, &asked.list)));
    }
    if let Some(problem) = list_of_keys(file) {
        return Some(unlike(file, problem, asked));
    }
    if file.bytes.len() > nsib::MAX_AREA as usize {
        return None;
    }
    let map = raw(file, asked).ok()?;
    let provisioned = || Provision::read(&map).is_ok() || !Dump::find(&map, asked.at.is_some()).is_empty();
    provisioned().then(|| image(Ok(map), Container::Raw, asked))
}

/// The YAML that a tool of Nordic's should take and does not: its own reader says what to do instead.
fn list_of_keys(file: &Read) -> Option<Problem> {
    let text = file.text().ok()?;
    (text.contains("keyname:") && text.contains("keys:")).then(|| kmu::KeyFile::read(file).err())?
}

/// A policy alone would be too little: what is kept beside the key has to be of a known kind too.
fn key_slot(bytes: &[u8]) -> Option<Source> {
    let source = Source::decode(<&[u8; Source::LENGTH]>::try_from(bytes).ok()?)?;
    let kept = source.metadata == u32::MAX || Metadata::decode(source.metadata).is_some();
    (kept && vectors::SRAM.contains(&source.destination)).then_some(source)
}

fn written_in_digits(file: &Read, asked: &Asked) -> Option<Content> {
    let given = in_digits(file)?;
    let form = format!("{}, in hexadecimal digits", given.container);
    Some(Content::PublicKey(Box::new(KeyReport::new(&given, &form, &asked.list))))
}

/// The key of a file of a key, or of one that has its digits.
pub(super) fn key_given(file: &Read) -> Result<AnyKey, Problem> {
    keys::read_any(file)
        .or_else(|problem| match in_digits(file) {
            Some(given) if problem.exit != Exit::KeyRefused => Ok(given),
            Some(_) | None => Err(problem),
        })
        .map(|given| given.key)
}

/// A P-256 key in C source or as tools print it: the only 64 bytes that the file writes out in digits; or DER so written.
fn in_digits(file: &Read) -> Option<Given> {
    let bytes = Some(&file.bytes).filter(|bytes| bytes.len() <= keys::TEXT_LIMIT)?;
    let text = std::str::from_utf8(bytes).ok()?;
    let runs = keys::hex_runs(text);
    let [run] = &runs[..] else { return None };
    let given = |(key, container)| Given { key, container, pem: false };
    if let Ok(found) = AnyKey::from_der(run) {
        return Some(given(found));
    }
    let point: &[u8; 64] = run.as_slice().try_into().ok()?;
    let little = AnyKey::from_nrf5_sdk(point).map(|key| (key, keys::Container::LittleEndian));
    let big = || AnyKey::from_raw(Algorithm::P256, point).map(|key| (key, keys::Container::Raw));
    little.or_else(|_| big()).ok().map(given)
}

fn as_asked(file: &Read, kind: RawKey, asked: &Asked) -> Content {
    if let Some(problem) = private_half(file) {
        return Content::refused(problem);
    }
    let small = if file.bytes.len() as u64 <= keys::FILE_LIMIT { &file.bytes[..] } else { &[] };
    let digits = std::str::from_utf8(small).map(keys::hex_runs).unwrap_or_default();
    let bytes: &[u8] = if let [run] = &digits[..] { run } else { &file.bytes };
    let read = match kind {
        RawKey::Ed25519 => AnyKey::from_raw(Algorithm::Ed25519, bytes),
        RawKey::X25519 => AnyKey::from_raw(Algorithm::X25519, bytes),
        RawKey::P256Raw => AnyKey::from_raw(Algorithm::P256, bytes),
        RawKey::Nrf5Sdk => match bytes.try_into() {
            Ok(point) => AnyKey::from_nrf5_sdk(point),
            Err(_) => {
                let what = format!("is no key of the nRF5 SDK: it has {} bytes, and such a key has 64", bytes.len());
                return Content::refused(Problem::new(file.name(), what));
            }
        },
    };
    let container = if kind == RawKey::Nrf5Sdk { keys::Container::LittleEndian } else { keys::Container::Raw };
    match read {
        Ok(key) => {
            let form = container.to_string();
            Content::PublicKey(Box::new(KeyReport::new(&Given { key, container, pem: false }, &form, &asked.list)))
        }
        Err(bad) => Content::refused(bad.problem(file.name())),
    }
}

pub(super) fn extension(file: &Read) -> String {
    file.path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase()
}

/// Only here the name has a say.
fn by_name(file: &Read, asked: &Asked) -> Looked {
    let by = |content: Content, told_by: &'static str| Looked { content, told_by };
    match extension(file).as_str() {
        "hex" | "ihex" => by(image(Map::from_hex(file), Container::IntelHex, asked), NAME),
        "bin" => by(image(raw(file, asked), Container::Raw, asked), NAME),
        _ if asked.at.is_some() => by(image(raw(file, asked), Container::Raw, asked), ASKED),
        _ => {
            let known = "is nothing that is known here; --at ADDRESS takes it for raw memory, --as for a raw key";
            let large = file.bytes.len() > keys::TEXT_LIMIT;
            let what = if large { format!("{known}; {UNREAD}") } else { known.to_owned() };
            by_contents(unlike(file, Problem::new(file.name(), what), asked))
        }
    }
}

/// Of a file larger than [`keys::TEXT_LIMIT`].
const UNREAD: &str = "being larger than 4 MiB, it was not searched for keys in every form of text";

/// What a file is that could not be understood, as far as it can be said; keys that must not be used are found anyway.
fn unlike(file: &Read, problem: Problem, asked: &Asked) -> Content {
    let found = asked.list.search_file(&file.bytes);
    Content::Unknown(Told::unknown(Facts::of(&file.bytes), &found, vec![problem]))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::cli::inspect::report::{FileReport, Report};

    fn asked() -> &'static Asked {
        static ASKED: LazyLock<Asked> = LazyLock::new(|| {
            let key = include_bytes!("../../../tests/vectors/keys/p256-a.pub.pem").to_vec();
            let key = keys::read_any(&Read::from_memory("p256-a.pub.pem", key)).unwrap().key;
            let list = RefuseList::built_in().unwrap();
            Asked { list, keys: vec![("p256-a.pub.pem".to_owned(), key)], at: None, raw_key: None }
        });
        &ASKED
    }

    /// What a person and a machine get to see of these bytes under this name.
    fn told(name: &str, bytes: Vec<u8>, asked: &Asked) -> (String, String) {
        let file = Read::from_memory(name, bytes);
        let report = Report::new(vec![FileReport::new(&file, look(&file, asked))]);
        let _ = (report.problems(), report.unauthentic(), report.refused(false));
        let words = report.to_string();
        let wide = words.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "wider than a terminal");
        (words, serde_json::to_string(&report).unwrap())
    }

    const NAMES: &[&str] =
        &["a", "a.hex", "a.bin", "a.elf", "a.pem", "a.der", "a.json", "a.zip", "a.dat", "a.txt", "a.p12"];

    /// One good file of each format, for lies that a reader's first look believes.
    const GOOD: &[&[u8]] = &[
        include_bytes!("../../../tests/vectors/mcuboot/more/p256-confirm-align16.bin"),
        include_bytes!("../../../tests/vectors/mcuboot/ed25519-enc-x25519.bin"),
        include_bytes!("../../../tests/vectors/nsib/nrf54l15-1ed25519-ver20-w4.hex"),
        include_bytes!("../../../tests/vectors/nsib/nrf52840-3keys.bin"),
        include_bytes!("../../../tests/vectors/nsib-state/5340app-counters.after.bin"),
        include_bytes!("../../../tests/vectors/bootconf/nrf54l15-0x7800.hex"),
        include_bytes!("../../../tests/vectors/kmu/west-bl-3-revokable/keyfile.json"),
        include_bytes!("../../../tests/vectors/kmu/src-ed25519-a-revokable-slot242.bin"),
        include_bytes!("../../../tests/vectors/nrf5sdk/app.zip"),
        include_bytes!("../../../tests/vectors/nrf5sdk/app/app-at-0x26000.dat"),
        include_bytes!("../../../tests/vectors/nrf5sdk/settings-NRF52-v2.hex"),
        include_bytes!("../../../tests/vectors/nrf5sdk/pk.code.txt"),
        include_bytes!("../../../tests/vectors/keys/p256-a.cert.der"),
        include_bytes!("../../../tests/vectors/keys/rsa2048-a.pkcs1.pem"),
        include_bytes!("../../../tests/vectors/keys/p256-a.encrypted.pem"),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn no_bytes_under_any_name_make_it_panic(
            name in prop::sample::select(NAMES),
            bytes in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let (words, json) = told(name, bytes, asked());
            prop_assert!(words.starts_with(name) && json.contains("\"told_by\":"), "{}", json);
        }

        #[test]
        fn no_change_to_a_good_file_makes_it_panic(
            name in prop::sample::select(NAMES),
            good in prop::sample::select(GOOD),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            keep in any::<prop::sample::Index>(),
            cut in any::<bool>(),
        ) {
            let mut bytes = good.to_vec();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if cut {
                bytes.truncate(keep.index(bytes.len()));
            }
            let (words, json) = told(name, bytes, asked());
            prop_assert!(words.starts_with(name) && json.contains("\"told_by\":"), "{}", json);
        }

        #[test]
        fn no_bytes_taken_for_a_raw_key_make_it_panic(
            kind in prop::sample::select(&[RawKey::Ed25519, RawKey::X25519, RawKey::P256Raw, RawKey::Nrf5Sdk][..]),
            bytes in prop::collection::vec(any::<u8>(), 0..70),
        ) {
            let told = as_asked(&Read::from_memory("a", bytes), kind, asked());
            let answered = matches!(told, Content::PublicKey(_) | Content::Refused { .. });
            prop_assert!(answered);
        }
    }

    #[test]
    fn every_good_file_is_told_by_its_contents_whatever_its_name() {
        for good in GOOD {
            for name in NAMES {
                let (_, json) = told(name, good.to_vec(), asked());
                assert!(json.contains("\"told_by\":\"its contents\""), "{name}: {json}");
            }
        }
    }
}
