//! What was found in a file, as a tree that people read; machines get the values themselves as JSON.

use std::fmt;

use crate::fault::seen;

/// One statement, and what belongs under it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Branch {
    /// What the statement is about, as `security counter`.
    pub label: String,
    /// What was found; empty where the branches below say it all.
    pub value: String,
    /// Why a reader should stop here: a refusal or a contradiction, in one sentence.
    pub warning: Option<String>,
    /// What belongs under it.
    pub branches: Vec<Branch>,
}

impl Branch {
    /// A statement with nothing under it.
    #[must_use]
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), value: value.into(), ..Self::default() }
    }

    /// With a reason to stop here.
    #[must_use]
    pub fn warn(mut self, why: impl Into<String>) -> Self {
        self.warning = Some(why.into());
        self
    }

    /// With one more statement under it.
    #[must_use]
    pub fn with(mut self, branch: Self) -> Self {
        self.branches.push(branch);
        self
    }

    /// All warnings, from the top down.
    #[must_use]
    pub fn warnings(&self) -> Vec<&str> {
        let own = self.warning.as_deref().into_iter();
        own.chain(self.branches.iter().flat_map(Self::warnings)).collect()
    }

    fn draw(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = 2 * depth;
        writeln!(f, "{:indent$}{:<16} {}", "", seen(&self.label), seen(&self.value))?;
        if let Some(why) = &self.warning {
            writeln!(f, "{:indent$}! {}", "", seen(why))?;
        }
        self.branches.iter().try_for_each(|branch| branch.draw(f, depth + 1))
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.draw(f, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_drawn_with_its_warnings_under_what_they_are_about() {
        let tree = Branch::new("image", "1.2.3").with(Branch::new("key", "aee3f2c3").warn("published"));
        assert_eq!(tree.to_string(), "image            1.2.3\n  key              aee3f2c3\n  ! published\n");
        assert_eq!(tree.warnings(), ["published"]);
    }
}
