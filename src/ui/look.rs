//! What the terminal can show: block characters or plain ASCII, sixteen colours or none.

/// Which characters frames, bars and block letters are made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Glyphs {
    /// Block elements and box drawing.
    Unicode,
    /// Nothing outside ASCII, for consoles that have no other characters.
    Ascii,
}

/// How the screen may look. Nothing is ever said by colour alone, so both may be the poorest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Look {
    /// Which characters.
    pub glyphs: Glyphs,
    /// Whether the sixteen colours may be used; bold and inverse always may.
    pub colour: bool,
}

impl Look {
    /// Everything a terminal emulator has.
    pub const RICH: Self = Self { glyphs: Glyphs::Unicode, colour: true };

    /// From `NO_COLOR`, `TERM` and the locale, asked through `variable`.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        // The kernel's console has too few characters in its font; an unset locale says nothing about the terminal.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let narrow = locale.is_some_and(|locale| !locale.to_lowercase().replace('-', "").contains("utf8"));
        let plain = narrow || matches!(term.as_str(), "linux" | "dumb" | "vt100" | "vt220");
        Self {
            glyphs: if plain { Glyphs::Ascii } else { Glyphs::Unicode },
            colour: set("NO_COLOR").is_none() && !matches!(term.as_str(), "dumb" | "vt100" | "vt220"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(variables: &[(&str, &str)]) -> Look {
        let all: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Look::of(|name| all.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
    }

    #[test]
    fn the_kernels_console_and_a_plain_locale_get_ascii() {
        assert_eq!(look(&[("TERM", "linux")]).glyphs, Glyphs::Ascii);
        assert_eq!(look(&[("LANG", "C")]).glyphs, Glyphs::Ascii);
        assert_eq!(look(&[("LANG", "C.UTF-8")]), Look::RICH);
        assert_eq!(look(&[("LC_ALL", "de_DE.utf8"), ("LANG", "C")]), Look::RICH);
        assert_eq!(look(&[]), Look::RICH);
    }

    #[test]
    fn no_color_counts_only_when_it_says_something() {
        assert!(!look(&[("NO_COLOR", "1")]).colour);
        assert!(look(&[("NO_COLOR", "")]).colour);
    }
}
