//! Strict DER: one encoding for each value, and an offset for every mistake.
//!
//! Only what key files need is read. Values are borrowed; nothing is allocated and no depth is followed by itself.

/// Tag of an INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// Tag of a BIT STRING.
pub(super) const BIT_STRING: u8 = 0x03;
/// Tag of an OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// Tag of an OBJECT IDENTIFIER.
pub(super) const OID: u8 = 0x06;
/// Tag of a SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;

/// Where bytes stop being the DER that was expected, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BadDer {
    /// Offset in the whole input.
    pub(super) at: usize,
    /// Why; never holds anything of the input.
    pub(super) what: &'static str,
}

/// One value.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    /// Offset of the tag in the whole input.
    pub(super) at: usize,
    /// Tag, length and contents.
    pub(super) whole: &'a [u8],
    /// The contents.
    pub(super) body: &'a [u8],
}

impl<'a> Element<'a> {
    /// A reader of the contents.
    pub(super) const fn inside(&self) -> Reader<'a> {
        Reader { rest: self.body, at: self.at + (self.whole.len() - self.body.len()) }
    }

    /// A mistake at this value.
    pub(super) const fn wrong(&self, what: &'static str) -> BadDer {
        BadDer { at: self.at, what }
    }

    /// The bytes of a BIT STRING that is made of whole bytes.
    pub(super) fn bits(&self) -> Result<Reader<'a>, BadDer> {
        let inside = self.inside();
        match inside.rest.split_first() {
            Some((0, rest)) => Ok(Reader { rest, at: inside.at + 1 }),
            Some(_) | None => Err(self.wrong("the bit string is not made of whole bytes")),
        }
    }

    /// The digits of a positive INTEGER, without the zero that keeps it positive.
    pub(super) fn positive(&self) -> Result<&'a [u8], BadDer> {
        match self.body {
            [] => Err(self.wrong("an integer has no digits")),
            [0, next, ..] if *next < 0x80 => Err(self.wrong("an integer is not written in its shortest form")),
            [0, rest @ ..] => Ok(rest),
            [first, ..] if *first >= 0x80 => Err(self.wrong("an integer is negative")),
            digits => Ok(digits),
        }
    }
}

/// What has not been read yet.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    /// The bytes.
    pub(super) rest: &'a [u8],
    /// Their offset in the whole input.
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    /// Of the whole input.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// The tag that comes next.
    pub(super) fn next_tag(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next value.
    pub(super) fn any(&mut self) -> Result<Element<'a>, BadDer> {
        let at = self.at;
        let wrong = |what| BadDer { at, what };
        let tag = self.next_tag().ok_or(wrong("a value is missing"))?;
        if tag & 0x1F == 0x1F {
            return Err(wrong("a tag has more than one byte"));
        }
        let (head, length) = self.length()?;
        let whole = self.rest.get(..head.saturating_add(length));
        let whole = whole.ok_or(wrong("a value is longer than what is left"))?;
        let body = whole.get(head..).unwrap_or_default();
        self.rest = self.rest.get(whole.len()..).unwrap_or_default();
        self.at += whole.len();
        Ok(Element { at, whole, body })
    }

    /// The next value, which must have this tag.
    pub(super) fn take(&mut self, tag: u8, otherwise: &'static str) -> Result<Element<'a>, BadDer> {
        let at = self.at;
        if self.next_tag() != Some(tag) {
            return Err(BadDer { at, what: otherwise });
        }
        self.any()
    }

    /// Nothing may be left.
    pub(super) const fn end(&self) -> Result<(), BadDer> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(BadDer { at: self.at, what: "bytes are left over behind the end" })
    }

    /// How long tag and length, and then the contents are.
    fn length(&self) -> Result<(usize, usize), BadDer> {
        let wrong = |what| BadDer { at: self.at + 1, what };
        let first = usize::from(*self.rest.get(1).ok_or(wrong("a length is missing"))?);
        if first < 0x80 {
            return Ok((2, first));
        }
        let count = first & 0x7F;
        if !(1..=4).contains(&count) {
            return Err(wrong("a length has an indefinite or senseless form"));
        }
        let digits = self.rest.get(2..2 + count).ok_or(wrong("a length is cut off"))?;
        let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
        if digits.first() == Some(&0) || length < 0x80 {
            return Err(wrong("a length is not written in its shortest form"));
        }
        Ok((2 + count, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(bytes: &[u8]) -> Result<&[u8], BadDer> {
        Reader::new(bytes).any().map(|element| element.body)
    }

    #[test]
    fn a_value_has_one_encoding() {
        assert_eq!(first(&[0x04, 1, 7, 9]), Ok(&[7][..]));
        for (bytes, at) in [
            (&[][..], 0),
            (&[0x1F, 1, 7], 0),
            (&[0x04], 1),
            (&[0x04, 0x80, 0, 0], 1),
            (&[0x04, 0x81, 1, 7], 1),
            (&[0x04, 0x82, 0, 0x80], 1),
            (&[0x04, 0x85, 0, 0, 0, 0, 0], 1),
            (&[0x04, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 7], 0),
            (&[0x04, 2, 7], 0),
        ] {
            assert_eq!(first(bytes).unwrap_err().at, at, "{bytes:02x?}");
        }
    }

    #[test]
    fn an_integer_is_positive_and_shortest() {
        let positive = |bytes: &[u8]| Reader::new(bytes).any().unwrap().positive().map(<[u8]>::to_vec);
        assert_eq!(positive(&[2, 2, 0, 0x80]), Ok(vec![0x80]));
        for bytes in [&[2, 0][..], &[2, 2, 0, 1], &[2, 1, 0x80]] {
            assert!(positive(bytes).is_err(), "{bytes:02x?}");
        }
    }
}
