//! Words that have no place in the tree: of one machine, of unfinished work, of a secret.

use super::{
    expect_none,
    source::{self, Source},
};

/// Folders of the machine something was written on. Written in two pieces here, as are all words below: this file is
/// searched too.
const FOLDERS: &[&str] = &[concat!("/", "tmp"), concat!("/", "root"), concat!("/", "work"), concat!("/", "home")];

/// Hosts of package registries: packages are named, never their address.
const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("debian", ".org"),
];

/// Rust that says "later" or "never mind".
const UNFINISHED: &[&str] =
    &[concat!("todo", "!"), concat!("unimplemented", "!"), concat!("#[", "ignore"), concat!("allow(", "dead_code)")];

/// Every forbidden word of one file.
fn breaks(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        found.extend(folders(&source.text, folder).map(|at| (at, *folder)));
    }
    for host in HOSTS.iter().filter(|_| !source.path.ends_with("Cargo.lock")) {
        found.extend(source.text.match_indices(host).map(|(at, _)| (at, *host)));
    }
    for word in UNFINISHED.iter().filter(|_| source.is("rs")) {
        found.extend(source.code.match_indices(word).map(|(at, _)| (at, *word)));
    }
    if !source.path.starts_with("tests/") {
        found.extend(private_keys(&source.text).map(|at| (at, "a private key")));
    }
    found.into_iter().map(|(at, word)| format!("{}: {word}", source.at(at))).collect()
}

/// Where an absolute path begins with the folder; `keys-public/root.pem` and `../work` are none.
fn folders<'a>(text: &'a str, folder: &'a str) -> impl Iterator<Item = usize> + 'a {
    let goes_on = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let inside_path = |c: char| c.is_alphanumeric() || "_.-/*}>)".contains(c);
    text.match_indices(folder)
        .map(|(at, _)| at)
        .filter(move |&at| !text[..at].ends_with(inside_path) && !text[at + folder.len()..].starts_with(goes_on))
}

/// Where the first line of a private key in PEM stands; a bare label, as the code that refuses keys needs, is none.
fn private_keys(text: &str) -> impl Iterator<Item = usize> {
    let openings = text.match_indices("-----BEGIN ");
    openings
        .filter(|(at, _)| text[*at..].lines().next().is_some_and(|line| line.contains("PRIVATE KEY-----")))
        .map(|(at, _)| at)
}

mod tests {
    use super::*;

    #[test]
    fn the_tree_has_no_word_that_does_not_belong() {
        let broken: Vec<_> = source::tree().iter().flat_map(breaks).collect();
        expect_none(&broken);
    }

    fn broken(path: &str, text: &str) -> usize {
        breaks(&Source::new(path, text)).len()
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        assert_eq!(broken("README.md", concat!("cd /", "work/x and \"/", "tmp\"")), 2);
        assert_eq!(broken("README.md", "keys-public/root.pem ../work /workers /tmpl"), 0);
    }

    #[test]
    fn a_registry_host_is_found_outside_the_lock_file() {
        assert_eq!(broken("scripts/check", concat!("curl https://crates", ".io")), 1);
        assert_eq!(broken("Cargo.lock", concat!("registry+https://crates", ".io-index")), 0);
    }

    #[test]
    fn unfinished_rust_is_found_in_code_only() {
        assert_eq!(broken("src/x.rs", concat!("fn a() { todo", "!() }")), 1);
        assert_eq!(broken("tests/x.rs", concat!("#[", "ignore = \"slow\"]")), 1);
        assert_eq!(broken("src/x.rs", concat!("// todo", "!\n\"allow(", "dead_code)\"")), 0);
    }

    #[test]
    fn a_private_key_is_found_outside_tests() {
        let key = concat!("-----BEGIN EC ", "PRIVATE KEY-----\nAAAA\n");
        assert_eq!(broken("templates/key.pem", key), 1);
        assert_eq!(broken("tests/key.pem", key), 0);
        assert_eq!(broken("src/keys/mod.rs", "label.ends_with(\"PRIVATE KEY\")"), 0);
    }
}
