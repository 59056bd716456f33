//! A digest as four symbols with characters: what an operator can compare with a travel card in any language.

use crate::ident::Digest;

const SHAPES: [char; 4] = ['▲', '■', '●', '◆'];

/// Without those that are taken for one another in print: 0 O Q, 1 I, 2 Z, 5 S, 8 B.
const CHARACTERS: &[u8; 16] = b"3467ACDEFHJKLMPT";

/// Four times a shape and a character, as `▲7 ■4 ●K ◆3`: 24 bits of the digest, for a person to compare; never enough
/// to trust.
#[must_use]
pub fn symbols(digest: &Digest) -> String {
    let symbol = |byte: &u8| {
        let shape = SHAPES.get(usize::from(byte >> 6)).copied().unwrap_or_default();
        let character = CHARACTERS.get(usize::from(byte & 0xF)).copied().map(char::from).unwrap_or_default();
        format!("{shape}{character}")
    };
    digest.0.iter().take(4).map(symbol).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_recipes_look_different_on_the_travel_card() {
        let (one, other) = (symbols(&Digest::of(b"one")), symbols(&Digest::of(b"other")));
        assert_ne!(one, other);
        assert_eq!(one.chars().count(), 11);
        let mut bytes = [0; 32];
        bytes[1] = 0xFF;
        assert_eq!(symbols(&Digest(bytes)), "▲3 ◆T ▲3 ▲3");
    }
}
