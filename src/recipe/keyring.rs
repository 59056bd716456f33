//! The keys of a recipe by name. A name stays known when its file could not be read, so that one mistake is told once.

use std::collections::BTreeMap;

use crate::{keys::AnyKey, page::Placed};

/// Keys by name, with the files they came from.
#[derive(Default)]
pub(super) struct Keyring {
    by_name: BTreeMap<String, (Option<AnyKey>, String)>,
}

impl Keyring {
    pub(super) fn add(&mut self, name: &str, key: Option<AnyKey>, file: Option<&Placed<String>>) {
        let file = file.map(|file| file.value.clone()).unwrap_or_default();
        self.by_name.insert(name.to_owned(), (key, file));
    }

    pub(super) fn get(&self, name: &str) -> Option<&AnyKey> {
        self.by_name.get(name)?.0.as_ref()
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.by_name.keys().map(String::as_str).collect()
    }

    /// Every key that could be read.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &AnyKey)> {
        self.by_name.iter().filter_map(|(name, (key, _))| Some((name.as_str(), key.as_ref()?)))
    }

    /// For messages: the name, and the file it stands for.
    pub(super) fn called(&self, name: &str) -> String {
        match self.by_name.get(name).map(|(_, file)| file.as_str()).filter(|file| !file.is_empty()) {
            Some(file) => format!("`{name}` ({file})"),
            None => format!("`{name}`"),
        }
    }

    pub(super) fn into_map(self) -> BTreeMap<String, AnyKey> {
        self.by_name.into_iter().filter_map(|(name, (key, _))| Some((name, key?))).collect()
    }
}
