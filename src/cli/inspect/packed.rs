//! What an archive holds beside what its reader understood: files, comments, gaps. Keys in them that nobody may use.

use super::report::Told;
use crate::{
    fault::{Exit, Problem},
    file::Read,
    image::dfu,
    keys::{
        self, NotOurs,
        bare::Budget,
        private,
        refuse::{RefuseList, Sighting},
    },
    page,
};

/// Parts of one archive. As many bytes as two files of keys have are read in every form, the smallest parts first; in what
/// is more, keys as they are and wrapped private halves are looked for.
struct Search<'l> {
    list: &'l RefuseList,
    room: usize,
    /// One for all parts, so that many small ones do not take longer than one large one.
    budget: Budget,
}

impl<'l> Search<'l> {
    fn with(list: &'l RefuseList, room: u64) -> Self {
        Self { list, room: usize::try_from(room).unwrap_or_default(), budget: Budget::default() }
    }

    /// The form of a private half in this part, and refused keys.
    fn part(&mut self, bytes: &[u8]) -> (Option<&'static str>, Vec<Sighting<'l>>) {
        let Some(left) = self.room.checked_sub(bytes.len()) else {
            return (private::wrapped_form(bytes), self.list.search(bytes));
        };
        self.room = left;
        (private::form_within(bytes, &mut self.budget), self.list.search_file(bytes))
    }
}

/// How many bytes of the files in an archive are read in every form.
const FILES: u64 = 2 * keys::FILE_LIMIT;

fn smallest_first(mut entries: Vec<Read>) -> Vec<Read> {
    entries.sort_by_key(|entry| entry.bytes.len());
    entries
}

fn private_in(archive: &str, place: &str, form: &'static str) -> Problem {
    Problem::new(archive, format!("{place} {}", NotOurs::Private(form))).exit(Exit::KeyRefused)
}

fn place_of(entry: &Read) -> String {
    format!("`{}` in it", page::printable(&entry.name()))
}

/// Of an archive that is no package that could be read: that a private half is in a file of it, or refused keys.
pub(super) fn searched<'l>(file: &Read, list: &'l RefuseList) -> Result<Vec<Sighting<'l>>, Problem> {
    let entries = if dfu::begins(file) { dfu::unpacked(file) } else { Vec::new() };
    let mut search = Search::with(list, FILES);
    let mut all = Vec::new();
    for entry in smallest_first(entries) {
        let (private, found) = search.part(&entry.bytes);
        if let Some(form) = private {
            return Err(private_in(&file.name(), &place_of(&entry), form));
        }
        all.extend(found);
    }
    Ok(all)
}

impl<T> Told<T> {
    /// Keys that nobody may use in the files of a package, whatever its own reader made of them: a firmware may be a key
    /// that calls itself one. What an archive in it holds, nobody looks at.
    pub(super) fn add_files(&mut self, file: &Read, list: &RefuseList) {
        let mut search = Search::with(list, FILES);
        for entry in smallest_first(dfu::unpacked(file)) {
            let place = place_of(&entry);
            self.add_part(&mut search, &file.name(), [&place, &place], &entry.bytes);
            if dfu::begins(&entry) {
                let what = format!("{place} is an archive, and was not looked into: unpack it, and name what it holds");
                self.problems.push(Problem::new(file.name(), what));
            }
        }
    }

    /// The same in what belongs to the archive itself, the comment at its end first. Headers of many files have room for
    /// megabytes: no more than a file of a key has is read in every form.
    pub(super) fn add_beside(&mut self, file: &Read, list: &RefuseList) {
        let mut search = Search::with(list, keys::FILE_LIMIT);
        for (at, bytes) in dfu::beside_files(file).into_iter().rev() {
            let place = format!("from byte {at}, outside the files in it");
            let places = [&*format!("{place},"), &format!("what stands {place}")];
            self.add_part(&mut search, &file.name(), places, bytes);
        }
    }

    fn add_part(&mut self, search: &mut Search<'_>, archive: &str, [place, of]: [&str; 2], bytes: &[u8]) {
        let (private, found) = search.part(bytes);
        // Once is enough, and the reader of the package may have told it with its address.
        let told = self.problems.iter().any(|problem| problem.exit == Exit::KeyRefused && problem.what.contains(place));
        self.problems.extend(private.filter(|_| !told).map(|form| private_in(archive, place, form)));
        self.add(&found, &format!(" of {of}"));
    }
}
