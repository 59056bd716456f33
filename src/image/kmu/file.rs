//! Key files as `west ncs-provision` and `generate_psa_key_attributes.py` write them and `nrfutil` takes them.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize, Serializer};

use super::{
    Algorithm, Attributes, BootChain, Kind, Persistence, Policy, Role, Scheme, Source, attributes, reserved, usage,
};
use crate::{
    fault::{Exit, Problem},
    file::Read,
    ident::{bytes_from_hex, hex},
    image::tree::Branch,
    keys::{
        self, AnyKey, bare,
        refuse::{Hit, RefuseList},
    },
};

/// The largest key file that is looked at, in bytes: all slots filled take a tenth.
pub const FILE_LIMIT: usize = 256 << 10;

/// What a key file says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct KeyFile {
    /// In the order of the file.
    pub slots: Vec<KeySlot>,
}

/// One key of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct KeySlot {
    /// What is said about it.
    pub attributes: Attributes,
    /// What goes into the slot.
    pub value: Value,
}

/// 0x04, X and Y, in bytes.
const POINT: usize = 65;

/// What goes into a slot. Only what can be nothing but public is shown, and of an Ed25519 key its fingerprint.
#[derive(Clone, Eq, PartialEq)]
pub enum Value {
    /// A public key: Ed25519 as its 32 bytes, P-256 as 0x04, X and Y.
    Public(Vec<u8>),
    /// A secret.
    Secret(Vec<u8>),
    /// So many bytes that the device makes up itself.
    Random(u16),
}

impl Value {
    fn length(&self) -> usize {
        match self {
            Self::Public(bytes) | Self::Secret(bytes) => bytes.len(),
            Self::Random(length) => usize::from(*length),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A point of P-256 is nothing else. 32 bytes are as good as any others for Ed25519, a private half too.
            Self::Public(bytes) if bytes.len() == POINT => f.write_str(&hex(bytes)),
            Self::Public(bytes) => match AnyKey::from_raw(keys::Algorithm::Ed25519, bytes) {
                Ok(key) => write!(f, "spki_sha256 {}", key.spki_sha256()),
                Err(_) => write!(f, "{} bytes, not shown", bytes.len()),
            },
            Self::Secret(bytes) => write!(f, "{} secret bytes, not shown", bytes.len()),
            Self::Random(length) => write!(f, "{length} random bytes made by the device"),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    version: u32,
    keyslots: Vec<WrittenSlot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSlot {
    metadata: String,
    value: String,
}

impl KeyFile {
    /// Reads a key file.
    ///
    /// # Errors
    /// What makes it none, with the place in the file or the entry; [`Exit::KeyRefused`] if a private half is inside.
    /// No message shows what a value holds.
    pub fn read(file: &Read) -> Result<Self, Problem> {
        let no = |what: String| Problem::new(file.name(), what);
        if file.bytes.len() > FILE_LIMIT {
            return Err(no(format!("is larger than a key file can be, {FILE_LIMIT} bytes")));
        }
        let text = file.text()?;
        if !text.trim_start().starts_with('{') {
            return Err(no(not_json(text).to_owned()));
        }
        // What serde says of a wrong value quotes it, and a value may be a secret: only the place is told.
        let written: WrittenFile = serde_json::from_str(text).map_err(|error| {
            no(format!("is no key file: {}", plain(&error))).at(error.line().max(1), error.column().max(1))
        })?;
        if !entries_are_objects(text) {
            return Err(no("is no key file: its keyslots are objects with metadata and value".to_owned()));
        }
        if written.version != 0 {
            return Err(no(format!("is a key file of version {}; only version 0 is known", written.version)));
        }
        no_private_half(&written.keyslots).map_err(|bad| no(bad.what).exit(bad.exit))?;
        let mut slots = Vec::with_capacity(written.keyslots.len().min(usize::from(super::SLOTS)));
        for (index, written) in written.keyslots.iter().enumerate() {
            slots.push(KeySlot::read(written).map_err(|bad| no(format!("key {index}: {}", bad.what)).exit(bad.exit))?);
        }
        let read = Self { slots };
        match read.taken_twice() {
            Some(slot) => Err(no(format!(
                "slot {slot} is taken by two keys; Nordic's scripts add to a file that exists, so one may be left from an \
                 earlier run"
            ))),
            None if read.slots.is_empty() => Err(no("is a key file without a key".to_owned())),
            None => Ok(read),
        }
    }

    /// Ed25519 keys as `west ncs-provision` uploads them for a role.
    ///
    /// # Errors
    /// No key, more keys than the role has slots, or a key twice.
    pub fn for_role(role: Role, keys: &[[u8; 32]], policy: UploadPolicy) -> Result<Self, String> {
        if keys.is_empty() || keys.len() > role.slots().len() {
            return Err(format!("{} keys for {}; it has slots for 1 to 3", keys.len(), role.keyname()));
        }
        if (1..keys.len()).any(|index| keys.iter().take(index).any(|key| Some(key) == keys.get(index))) {
            return Err(format!("a key stands twice among those for {}", role.keyname()));
        }
        let slots = role.slots().into_iter().zip(keys).enumerate();
        let slots = slots.map(|(index, (slot, key))| KeySlot::ed25519(slot, *key, policy.of(index + 1 == keys.len())));
        Ok(Self { slots: slots.collect() })
    }

    /// The file as Nordic's scripts write it: four spaces, no newline at the end. It holds secrets if the keys are.
    #[must_use]
    pub fn to_json(&self) -> String {
        let slots: Vec<String> = self.slots.iter().map(KeySlot::to_json).collect();
        format!("{{\n    \"version\": 0,\n    \"keyslots\": [\n{}\n    ]\n}}", slots.join(",\n"))
    }

    /// The keys that the verifier of this boot chain reads, in its order.
    #[must_use]
    pub fn read_by(&self, chain: BootChain) -> Vec<&KeySlot> {
        let slot = |number: u8| self.slots.iter().find(|slot| slot.attributes.slot == number);
        chain.role().slots().into_iter().filter_map(slot).collect()
    }

    /// Every refused key in it, with its slot.
    #[must_use]
    pub fn refused<'l>(&self, list: &'l RefuseList) -> Vec<(u8, Hit<'l>)> {
        let found = self.slots.iter().filter_map(|slot| Some((slot.attributes.slot, slot.refused(list)?)));
        found.collect()
    }

    /// Everything that should stop a person before this goes on a device; empty if nothing.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let of = |slot: &KeySlot| {
            let number = slot.attributes.slot;
            slot.attributes.wrong().into_iter().map(move |what| format!("slot {number}: {what}")).collect::<Vec<_>>()
        };
        self.slots.iter().flat_map(of).collect()
    }

    /// For people.
    #[must_use]
    pub fn explain(&self, list: &RefuseList) -> Branch {
        let count = self.slots.len();
        let tree = Branch::new("KMU key file", format!("{count} {}", if count == 1 { "key" } else { "keys" }));
        self.slots.iter().map(|slot| slot.explain(list)).fold(tree, Branch::with)
    }

    /// Every slot that a key takes, in the order of the file.
    #[must_use]
    pub fn taken(&self) -> Vec<u16> {
        self.slots.iter().flat_map(|slot| slot.attributes.taken()).collect()
    }

    /// The first slot that two keys would take.
    #[must_use]
    pub fn taken_twice(&self) -> Option<u16> {
        let mut seen = BTreeSet::new();
        self.taken().into_iter().find(|slot| !seen.insert(*slot))
    }
}

/// Which keys of a role stay for ever. The words of `west ncs-provision`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UploadPolicy {
    /// Each can be revoked.
    Revokable,
    /// None can.
    Lock,
    /// Each but the last can.
    LockLast,
}

impl UploadPolicy {
    const fn of(self, last: bool) -> Persistence {
        match (self, last) {
            (Self::Revokable, _) | (Self::LockLast, false) => Persistence::Revokable,
            (Self::Lock, _) | (Self::LockLast, true) => Persistence::ReadOnly,
        }
    }
}

const NOT_BUILT: &str = "only public keys that verify are put together here";

struct BadSlot {
    what: String,
    exit: Exit,
}

impl From<String> for BadSlot {
    fn from(what: String) -> Self {
        Self { what, exit: Exit::Usage }
    }
}

impl KeySlot {
    /// An Ed25519 public key that firmware is verified with.
    #[must_use]
    pub fn ed25519(slot: u8, key: [u8; 32], persistence: Persistence) -> Self {
        let attributes = Attributes {
            kind: Kind::Ed25519Public,
            bits: 255,
            persistence,
            usage: usage::VERIFY,
            algorithm: Algorithm::EddsaPure,
            scheme: Scheme::Raw,
            slot,
        };
        Self { attributes, value: Value::Public(key.to_vec()) }
    }

    /// A P-256 public key that firmware is verified with: X and Y, big-endian.
    #[must_use]
    pub fn p256(slot: u8, point: &[u8; 64], persistence: Persistence) -> Self {
        let attributes = Attributes {
            kind: Kind::P256Public,
            bits: 256,
            persistence,
            usage: usage::VERIFY,
            algorithm: Algorithm::EcdsaSha256,
            scheme: Scheme::Raw,
            slot,
        };
        Self { attributes, value: Value::Public([&[4], &point[..]].concat()) }
    }

    /// The bytes that the device makes up to overwrite protected RAM with. [west ncs-provision, PROT_RAM_INV_SLOTS]
    #[must_use]
    pub fn protected_ram() -> Self {
        let attributes = Attributes {
            kind: Kind::Aes,
            bits: 256,
            persistence: Persistence::Default,
            usage: usage::ENCRYPT,
            algorithm: Algorithm::Ctr,
            scheme: Scheme::Protected,
            slot: 248,
        };
        Self { attributes, value: Value::Random(32) }
    }

    /// What the KMU takes for it, slot by slot, if the station writes it through the debug port instead of handing the
    /// file to Nordic's tool. Whether that tool writes the same is not confirmed.
    ///
    /// # Errors
    /// If it is not a public key that verifies.
    pub fn sources(&self) -> Result<Vec<(u8, Source)>, String> {
        let attributes = &self.attributes;
        let policy = match attributes.persistence {
            Persistence::Default => Policy::Rotating,
            Persistence::Revokable => Policy::Revokable,
            Persistence::ReadOnly => Policy::Locked,
            Persistence::Volatile => return Err("a slot cannot be volatile".to_owned()),
        };
        let verifies = attributes.usage == usage::VERIFY && attributes.scheme == Scheme::Raw;
        let Value::Public(key) = &self.value else { return Err(NOT_BUILT.to_owned()) };
        let is =
            |kind: Kind, algorithm: Algorithm| verifies && (attributes.kind, attributes.algorithm) == (kind, algorithm);
        if let (true, Some(key)) = (is(Kind::Ed25519Public, Algorithm::EddsaPure), key.first_chunk()) {
            return Source::ed25519(key, policy, attributes.slot);
        }
        if let (true, Some(point)) = (is(Kind::P256Public, Algorithm::EcdsaSha256), key.last_chunk()) {
            return Source::p256(point, policy, attributes.slot);
        }
        Err(NOT_BUILT.to_owned())
    }

    fn read(written: &WrittenSlot) -> Result<Self, BadSlot> {
        let metadata = written.metadata.strip_prefix("0x").and_then(bytes_from_hex);
        let metadata = metadata.and_then(|bytes| <[u8; attributes::LENGTH]>::try_from(bytes).ok());
        let Some(metadata) = metadata else {
            return Err(format!("its metadata is not 0x and {} hexadecimal digits", 2 * attributes::LENGTH).into());
        };
        let attributes = Attributes::decode(&metadata).map_err(|what| format!("its metadata: {what}"))?;
        if attributes.kind.is_private() {
            let what = format!("its value is a {}; {PUBLIC_ONLY}", attributes.kind.name());
            return Err(BadSlot { what, exit: Exit::KeyRefused });
        }
        let value = value(&written.value, attributes.kind)?;
        if attributes.value_length() == 0 {
            return Err("its metadata say 0 bits, and a slot holds a value".to_owned().into());
        }
        if value.length() != attributes.value_length() {
            return Err(format!(
                "its value is {} bytes long, its metadata say {}",
                value.length(),
                attributes.value_length()
            )
            .into());
        }
        if let (Kind::Ed25519Public, Value::Public(key)) = (attributes.kind, &value)
            && AnyKey::from_raw(keys::Algorithm::Ed25519, key).is_err()
        {
            let slot = attributes.slot;
            let what = "its value is no Ed25519 key: not on the curve, or a weak point";
            return Err(format!("slot {slot}: {what}").into());
        }
        Ok(Self { attributes, value })
    }

    fn to_json(&self) -> String {
        let value = match &self.value {
            Value::Public(bytes) | Value::Secret(bytes) => format!("0x{}", hex(bytes)),
            Value::Random(length) => format!("TRNG:{length}"),
        };
        let metadata = hex(&self.attributes.encode()).to_uppercase();
        format!(
            "        {{\n            \"metadata\": \"0x{metadata}\",\n            \"value\": \"{value}\"\n        }}"
        )
    }

    fn refused<'l>(&self, list: &'l RefuseList) -> Option<Hit<'l>> {
        let (Value::Public(bytes) | Value::Secret(bytes)) = &self.value else { return None };
        list.refuses_raw(bytes)
    }

    fn explain(&self, list: &RefuseList) -> Branch {
        let attributes = &self.attributes;
        let value = Branch::new("value", self.value.to_string());
        let value = match self.refused(list) {
            Some(refused) => value.warn(format!("is the {refused}")),
            None => value,
        };
        let tree = Branch::new(format!("slot {}", self.places()), attributes.kind.name())
            .with(Branch::new("for", self.reader()))
            .with(value)
            .with(Branch::new("algorithm", attributes.algorithm.name()))
            .with(Branch::new("may", usage::words(attributes.usage)))
            .with(Branch::new("lasts", attributes.persistence.name()));
        let wrong = attributes.wrong();
        if wrong.is_empty() { tree } else { tree.warn(wrong.join("; ")) }
    }

    fn places(&self) -> String {
        let first = usize::from(self.attributes.slot);
        match self.attributes.slots() {
            0 | 1 => first.to_string(),
            count => format!("{first} to {}", first + count - 1),
        }
    }

    fn reader(&self) -> String {
        let slot = self.attributes.slot;
        match (Role::of(slot), reserved(slot)) {
            (Some((role, index)), _) => format!("{} key {index}", role.keyname()),
            (None, Some(what)) => what.to_owned(),
            (None, None) => "nothing that Nordic's SDK assigns".to_owned(),
        }
    }
}

/// Metadata may call anything a public key. Whether a value is the private half of another, arithmetic says.
fn no_private_half(written: &[WrittenSlot]) -> Result<(), BadSlot> {
    let bytes = |slot: &WrittenSlot| slot.value.strip_prefix("0x").and_then(bytes_from_hex).unwrap_or_default();
    let values: Vec<Vec<u8>> = written.iter().map(bytes).collect();
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    let Some((index, form)) = bare::among(&values, &mut bare::Budget::default()) else { return Ok(()) };
    Err(BadSlot { what: format!("key {index}: its value is {form}; {PUBLIC_ONLY}"), exit: Exit::KeyRefused })
}

const PUBLIC_ONLY: &str = "a station takes public halves only. Remove the file from this computer, and treat the key as \
                           exposed if it was not meant to be here";

fn value(text: &str, kind: Kind) -> Result<Value, String> {
    if let Some(length) = text.strip_prefix("TRNG:") {
        let digits = length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse().ok().filter(|length| digits && (1..=4096).contains(length));
        return length.map(Value::Random).ok_or_else(|| "its value asks for no number of random bytes".to_owned());
    }
    let bytes = text.strip_prefix("0x").and_then(bytes_from_hex);
    let bytes = bytes.ok_or_else(|| "its value is neither 0x and hexadecimal digits nor TRNG:n".to_owned())?;
    if kind == Kind::P256Public {
        let point = bytes.split_first().filter(|(head, _)| **head == 4).map(|(_, point)| point);
        let point = point.ok_or("its value is no uncompressed point, which begins with 04")?;
        AnyKey::from_raw(keys::Algorithm::P256, point).map_err(|_| "its value is no point of the curve P-256")?;
    }
    Ok(if kind.is_public() { Value::Public(bytes) } else { Value::Secret(bytes) })
}

/// `serde` takes a list of two texts for an entry too; Nordic's tools do not write that.
fn entries_are_objects(text: &str) -> bool {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let entries = value.get("keyslots").and_then(serde_json::Value::as_array);
    entries.is_some_and(|entries| entries.iter().all(serde_json::Value::is_object))
}

/// The kind of a JSON mistake, without anything that stands in the file.
fn plain(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it is cut off",
        serde_json::error::Category::Syntax => "this is no JSON",
        serde_json::error::Category::Data => {
            "expected are version, and keyslots with metadata and value each, nothing else and nothing twice"
        }
        serde_json::error::Category::Io => "it cannot be read",
    }
}

fn not_json(text: &str) -> &'static str {
    if text.contains("keyname:") && text.contains("keys:") {
        return "is the list of keys that `west ncs-provision upload -i` should take; at sdk-nrf 6b1c3c655dfd that stops \
                with a TypeError (soc is missing). Name the keys on its command line, and hand over the keyfile.json that \
                it writes";
    }
    "is no key file: it is JSON and begins with {"
}
