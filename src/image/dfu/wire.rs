//! Protocol Buffers as they stand in an init packet: field by field, nothing skipped, nothing twice.
//!
//! The reader in the bootloader (nanopb) skips what it does not know and lets the last of two win; a file that needs
//! either is not what nrfutil made. [Protocol Buffers, Encoding]

/// The value of one field, with the offset of its first byte in the file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'b> {
    Number(u64),
    Bytes(Slice<'b>),
}

/// Part of a file, and where it stands there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice<'b> {
    pub(super) at: usize,
    pub(super) bytes: &'b [u8],
}

/// The fields of one message while they are taken.
pub(super) struct Message<'b> {
    name: &'static str,
    at: usize,
    fields: Vec<(u64, usize, Value<'b>)>,
}

impl<'b> Message<'b> {
    pub(super) fn read(name: &'static str, slice: Slice<'b>) -> Result<Self, String> {
        let mut cursor = Cursor { slice, from: 0 };
        let mut fields = Vec::new();
        while cursor.from < slice.bytes.len() {
            let at = slice.at + cursor.from;
            let field = cursor.field().ok_or_else(|| format!("{name} is damaged at offset {at:#x}"))?;
            fields.push((field.0, at, field.1));
        }
        Ok(Self { name, at: slice.at, fields })
    }

    /// Every value of this field.
    pub(super) fn all(&mut self, number: u64) -> Vec<(usize, Value<'b>)> {
        let taken = self.fields.iter().filter(|(field, ..)| *field == number).map(|(_, at, value)| (*at, *value));
        let taken = taken.collect();
        self.fields.retain(|(field, ..)| *field != number);
        taken
    }

    fn one(&mut self, number: u64, called: &str) -> Result<Option<(usize, Value<'b>)>, String> {
        match self.all(number)[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            [_, (at, _), ..] => Err(format!("{}: a second {called} at offset {at:#x}", self.name)),
        }
    }

    /// A number of 32 bits.
    pub(super) fn number(&mut self, number: u64, called: &str) -> Result<Option<u32>, String> {
        let name = self.name;
        let wrong = |at: usize| format!("{name}: {called} at offset {at:#x} is no number of 32 bits");
        let Some((at, value)) = self.one(number, called)? else { return Ok(None) };
        let Value::Number(value) = value else { return Err(wrong(at)) };
        u32::try_from(value).map(Some).map_err(|_| wrong(at))
    }

    /// A message or bytes.
    pub(super) fn bytes(&mut self, number: u64, called: &str) -> Result<Option<Slice<'b>>, String> {
        match self.one(number, called)? {
            None => Ok(None),
            Some((_, Value::Bytes(slice))) => Ok(Some(slice)),
            Some((at, Value::Number(_))) => Err(format!("{}: {called} at offset {at:#x} is a number", self.name)),
        }
    }

    /// A field without which the message means nothing.
    pub(super) fn need<T>(&self, called: &str, found: Option<T>) -> Result<T, String> {
        found.ok_or_else(|| format!("{} at offset {:#x} has no {called}", self.name, self.at))
    }

    /// Nothing may be left.
    pub(super) fn done(self) -> Result<(), String> {
        match self.fields.first() {
            None => Ok(()),
            Some((number, at, _)) => Err(format!("{}: field {number} at offset {at:#x} is not known", self.name)),
        }
    }
}

/// Numbers one after the other without their tags, as a packed field holds them.
pub(super) fn packed(slice: Slice<'_>) -> Result<Vec<u32>, String> {
    let mut cursor = Cursor { slice, from: 0 };
    let mut numbers = Vec::new();
    while cursor.from < slice.bytes.len() {
        let at = slice.at + cursor.from;
        let number = cursor.varint().and_then(|number| u32::try_from(number).ok());
        numbers.push(number.ok_or_else(|| format!("a list of numbers is damaged at offset {at:#x}"))?);
    }
    Ok(numbers)
}

struct Cursor<'b> {
    slice: Slice<'b>,
    from: usize,
}

impl<'b> Cursor<'b> {
    fn field(&mut self) -> Option<(u64, Value<'b>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            2 => Value::Bytes(self.run()?),
            _ => return None,
        };
        (tag >> 3 > 0).then_some((tag >> 3, value))
    }

    /// Ten bytes at most, and the tenth has one bit to say.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.slice.bytes.get(self.from)?;
            self.from += 1;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn run(&mut self) -> Option<Slice<'b>> {
        let length = usize::try_from(self.varint()?).ok()?;
        let end = self.from.checked_add(length)?;
        let slice = Slice { at: self.slice.at + self.from, bytes: self.slice.bytes.get(self.from..end)? };
        self.from = end;
        Some(slice)
    }
}
