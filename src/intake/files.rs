//! Finds the files of an input path: the file itself, the messages of a maildir, or a whole folder tree, without what
//! mail programs keep beside their mailboxes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::sniff;
use crate::maildir;

/// Files that mail programs keep beside mailboxes, by their whole names.
const BESIDE_MAILBOXES: [&str; 7] = [
    // Thunderbird
    "msgFilterRules.dat",
    "popstate.dat",
    "virtualFolders.dat",
    "filterlog.html",
    "junklog.html",
    // Maildir++
    "maildirfolder",
    "maildirsize",
];

/// The same by the beginning of the name, unless its end says that it is a document.
const SERVER_FILES: [&str; 3] = ["dovecot", "courierimap", "cyrus."];

/// The same by the end of the name: indexes of Thunderbird and Evolution.
const INDEX_ENDINGS: [&str; 5] = [".msf", ".cmeta", ".ev-summary", ".ibex.index", ".ibex.index.data"];

/// Files that desktops put into folders.
const OF_DESKTOPS: [&str; 3] = ["desktop.ini", "thumbs.db", "ehthumbs.db"];

/// Folders of a profile of Thunderbird that hold mail.
const OF_PROFILE: [&str; 3] = ["ImapMail", "Mail", "News"];

/// The error for pipes, sockets and devices.
pub(super) const NOT_REGULAR: &str = "not a regular file";

/// One file to read, or the reason why it cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum FileEntry {
    /// A file whose format is told from its name or bytes.
    File(PathBuf),
    /// A message of a maildir: always a single message, and its name may change at any time.
    Message(PathBuf),
    /// Something that cannot be read as a file.
    Failed(PathBuf, String),
}

/// The files of one input path; each folder is sorted by name.
pub struct Files {
    walker: Option<walkdir::IntoIter>,
    found: VecDeque<FileEntry>,
    /// A profile of Thunderbird that the walk has met.
    profile: Option<PathBuf>,
}

impl Files {
    /// Starts at `path`. For a maildir, only its own messages are listed unless `recursive`.
    pub fn new(path: &Path, recursive: bool) -> Self {
        Self::walk(path, recursive, true)
    }

    /// The same, without what links in the folder lead to.
    pub fn without_links(path: &Path, recursive: bool) -> Self {
        Self::walk(path, recursive, false)
    }

    fn walk(path: &Path, recursive: bool, follow_links: bool) -> Self {
        let mut files = Self::only(std::iter::empty());
        if !path.is_dir() {
            files.found.push_back(FileEntry::File(path.to_path_buf()));
        } else if maildir::is_maildir(path) && !recursive {
            files.list_maildir(path);
        } else {
            files.walker = Some(WalkDir::new(path).follow_links(follow_links).sort_by_file_name().into_iter());
        }
        files
    }

    /// Iterates over files that are already known.
    pub(super) fn only(found: impl Iterator<Item = FileEntry>) -> Self {
        Self { walker: None, found: found.collect(), profile: None }
    }

    fn list_maildir(&mut self, path: &Path) {
        let listing = maildir::Listing::new(path);
        self.found.extend(listing.paths().into_iter().map(FileEntry::Message));
        self.found
            .extend(listing.failed.into_iter().map(|(folder, error)| FileEntry::Failed(folder, error.to_string())));
    }

    /// Takes one step of the walk; `None` at its end.
    fn step(&mut self) -> Option<()> {
        match self.walker.as_mut()?.next()? {
            Ok(entry) => self.visit(&entry),
            // A symlink loop leads to files that are read anyway.
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(error) => {
                let path = error.path().unwrap_or(Path::new("?")).to_path_buf();
                let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                self.found.push_back(FileEntry::Failed(path, why));
            }
        }
        Some(())
    }

    fn visit(&mut self, entry: &DirEntry) {
        let hidden = entry.depth() > 0 && maildir::is_hidden(entry.file_name());
        let kind = entry.file_type();
        if kind.is_dir() {
            // Subfolders of a Maildir++ tree start with a dot; other hidden folders are ignored.
            let is_maildir = maildir::is_maildir(entry.path());
            if is_maildir {
                self.list_maildir(entry.path());
            } else if hidden || is_part_of_maildir(entry) || self.is_not_mail(entry) {
                self.skip_folder();
            } else if is_profile(entry.path()) {
                self.profile = Some(entry.path().to_path_buf());
            }
        } else if hidden || kind.is_symlink() || self.is_not_mail(entry) || is_beside_mailbox(entry) {
        } else if kind.is_file() {
            self.found.push_back(FileEntry::File(entry.path().to_path_buf()));
        } else {
            self.found.push_back(FileEntry::Failed(entry.path().to_path_buf(), NOT_REGULAR.into()));
        }
    }

    /// True for what is not mail in a profile, and for Thunderbird's copies of messages for the search of the system.
    fn is_other_part(&self, entry: &DirEntry) -> bool {
        let name = entry.file_name().to_string_lossy();
        let is_copies = name.ends_with(".mozmsgs") && entry.depth() > 0 && entry.file_type().is_dir();
        is_copies || (self.profile.as_deref() == entry.path().parent() && !OF_PROFILE.contains(&&*name))
    }

    /// True for what programs keep in folders of mail for themselves.
    fn is_not_mail(&self, entry: &DirEntry) -> bool {
        is_kept_by_server(entry) || is_kept_by_apple(entry) || self.is_other_part(entry)
    }

    fn skip_folder(&mut self) {
        if let Some(walker) = &mut self.walker {
            walker.skip_current_dir();
        }
    }
}

/// True for `cur`, `new` and `tmp` of a maildir, whose messages are already listed, unless the walk starts there.
fn is_part_of_maildir(entry: &DirEntry) -> bool {
    let own = ["cur", "new", "tmp"].iter().any(|name| entry.file_name() == *name);
    own && entry.depth() > 0 && entry.path().parent().is_some_and(maildir::is_maildir)
}

/// True for files that mail servers keep in a maildir beside the messages.
fn is_kept_by_server(entry: &DirEntry) -> bool {
    entry.depth() > 0
        && maildir::is_not_mail(entry.file_name())
        && entry.path().parent().is_some_and(maildir::is_maildir)
}

/// True for a profile of Thunderbird.
fn is_profile(folder: &Path) -> bool {
    folder.join("prefs.js").is_file() && OF_PROFILE.iter().any(|own| folder.join(own).is_dir())
}

/// True for files that mail programs keep beside mailboxes. One that is itself an input is read.
fn is_beside_mailbox(entry: &DirEntry) -> bool {
    let (path, folder) = (entry.path(), entry.path().parent().filter(|_| entry.depth() > 0));
    let (Some(folder), name) = (folder, entry.file_name().to_string_lossy()) else { return false };
    let starts = |begin: &&str| name.starts_with(begin);
    BESIDE_MAILBOXES.contains(&&*name)
        || OF_DESKTOPS.iter().any(|own| name.eq_ignore_ascii_case(own))
        || INDEX_ENDINGS.iter().any(|end| name.ends_with(end))
        || (SERVER_FILES.iter().any(starts) && sniff::by_name(path).is_none())
        || (name == "subscriptions" && holds_maildir(folder))
        || (name == "table_of_contents" && folder.join("mbox").is_file())
        || name.strip_suffix(".lock").is_some_and(|mailbox| folder.join(mailbox).is_file())
}

/// True for the root of a tree of maildirs that is none itself.
fn holds_maildir(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| maildir::is_maildir(&path))
}

/// True for the folders in which Apple Mail keeps parts of messages.
fn is_kept_by_apple(entry: &DirEntry) -> bool {
    let is_folder = entry.depth() > 0 && entry.file_type().is_dir() && entry.file_name() == "Attachments";
    is_folder && entry.path().with_file_name("Messages").is_dir()
}

impl Iterator for Files {
    type Item = FileEntry;

    fn next(&mut self) -> Option<FileEntry> {
        while self.found.is_empty() {
            self.step()?;
        }
        match self.found.pop_front()? {
            // A pipe would never end.
            FileEntry::Message(path) if std::fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) => {
                Some(FileEntry::Failed(path, NOT_REGULAR.into()))
            }
            found => Some(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        folder
    }

    fn listed(folder: &Path, recursive: bool) -> Vec<String> {
        Files::new(folder, recursive)
            .map(|found| match found {
                FileEntry::File(path) => format!("file {}", path.strip_prefix(folder).unwrap().display()),
                FileEntry::Message(path) => format!("message {}", path.strip_prefix(folder).unwrap().display()),
                FileEntry::Failed(path, why) => {
                    format!("failed {}: {why}", path.strip_prefix(folder).unwrap().display())
                }
            })
            .collect()
    }

    #[test]
    fn walks_in_order_and_leaves_hidden_files() {
        let folder =
            tree(&["b.eml", "a/z.txt", "a/.DS_Store", ".git/config", "m/cur/1", "m/new/2", "m/tmp/3", "m/sub/x"]);
        assert_eq!(
            listed(folder.path(), false),
            ["file a/z.txt", "file b.eml", "message m/cur/1", "message m/new/2", "file m/sub/x"]
        );
    }

    #[test]
    fn a_maildir_alone_unless_recursive() {
        let folder = tree(&["cur/1", "new/2", "tmp/3", ".Sent/cur/4", ".Sent/new/5"]);
        assert_eq!(listed(folder.path(), false), ["message cur/1", "message new/2"]);
        assert_eq!(
            listed(folder.path(), true),
            ["message cur/1", "message new/2", "message .Sent/cur/4", "message .Sent/new/5"]
        );
    }

    #[test]
    fn a_part_of_a_maildir_by_itself() {
        let folder = tree(&["cur/1", "cur/.hidden", "new/2", "tmp/3"]);
        assert_eq!(listed(&folder.path().join("cur"), false), ["file 1"]);
        assert_eq!(listed(&folder.path().join("new"), true), ["file 2"]);
    }

    #[test]
    fn what_servers_keep_is_no_mail() {
        let folder = tree(&[
            "m/cur/1",
            "m/new/2",
            "m/tmp/3",
            "m/dovecot-uidlist",
            "m/dovecot.index.log",
            "m/subscriptions",
            "m/.uidvalidity",
            "m/courierimapkeywords/:list",
            "m/notes.txt",
            "m/.Archive.2024/cur/4",
            "m/.Archive.2024/new/5",
            "m/.Archive.2024/maildirfolder",
            "m/Sub/cur/6",
            "m/Sub/new/.keep",
            "m/Sub/.mbsyncstate",
            "mh/.mh_sequences",
            "mh/1",
            "mh/subscriptions",
        ]);
        let all = [
            "message m/cur/1",
            "message m/new/2",
            "message m/.Archive.2024/cur/4",
            "message m/.Archive.2024/new/5",
            "message m/Sub/cur/6",
            "file m/notes.txt",
            "file mh/1",
            "file mh/subscriptions",
        ];
        assert_eq!(listed(folder.path(), false), all);
        assert_eq!(listed(folder.path(), true), all);
    }

    #[test]
    fn what_lies_beside_mailboxes_is_no_mail() {
        let folder = tree(&[
            "fs/Work/cur/1",
            "fs/Work/new/.keep",
            "fs/dovecot.list.index.log",
            "fs/subscriptions",
            "notes/dovecot-setup.md",
            "notes/flake.lock",
            "notes/subscriptions",
            "profile/ImapMail/a.example/INBOX",
            "profile/ImapMail/a.example/INBOX.lock",
            "profile/ImapMail/a.example/INBOX.mozmsgs/1.wdseml",
            "profile/ImapMail/a.example/INBOX.msf",
            "profile/Mail/b.example/Inbox.sbd/2024",
            "profile/Mail/b.example/Inbox.sbd/2024.msf",
            "profile/Mail/b.example/msgFilterRules.dat",
            "profile/Mail/b.example/popstate.dat",
            "profile/calendar/x",
            "profile/key4.db",
            "profile/prefs.js",
        ]);
        assert_eq!(
            listed(folder.path(), false),
            [
                "message fs/Work/cur/1",
                "file notes/dovecot-setup.md",
                "file notes/flake.lock",
                "file notes/subscriptions",
                "file profile/ImapMail/a.example/INBOX",
                "file profile/Mail/b.example/Inbox.sbd/2024",
            ]
        );
        let own = folder.path().join("profile/ImapMail/a.example");
        assert_eq!(listed(&own, false), ["file INBOX"]);
        assert_eq!(Files::new(&own.join("INBOX.msf"), false).next(), Some(FileEntry::File(own.join("INBOX.msf"))));
    }

    #[test]
    fn what_apple_mail_keeps_beside_mail_is_no_mail() {
        let folder = tree(&[
            "Work.mbox/mbox",
            "Work.mbox/table_of_contents",
            "Mail/7/Messages/1.emlx",
            "Mail/7/Messages/2.partial.emlx",
            "Mail/7/Attachments/2/1/offer.txt",
            "notes/Attachments/a.txt",
            "notes/table_of_contents",
        ]);
        let mail = ["file Mail/7/Messages/1.emlx", "file Mail/7/Messages/2.partial.emlx", "file Work.mbox/mbox"];
        let notes = ["file notes/Attachments/a.txt", "file notes/table_of_contents"];
        assert_eq!(listed(folder.path(), false), [&mail[..], &notes].concat());
    }

    #[cfg(unix)]
    #[test]
    fn links_to_messages_are_messages_and_a_folder_that_cannot_be_listed_is_said() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tree(&["elsewhere", "m/cur/1", "m/new/2", "m/tmp/3"]);
        symlink("../../elsewhere", folder.path().join("m/cur/0")).unwrap();
        symlink("..", folder.path().join("m/cur/4")).unwrap();
        let m = folder.path().join("m");
        assert_eq!(
            listed(&m, false),
            ["message cur/0", "message cur/1", "failed cur/4: not a regular file", "message new/2"]
        );
        let forbid = |mode| std::fs::set_permissions(m.join("cur"), std::fs::Permissions::from_mode(mode)).unwrap();
        forbid(0o000);
        // The superuser may list what nobody may.
        if std::fs::read_dir(m.join("cur")).is_err() {
            let seen = listed(&m, false);
            assert_eq!(seen[0], "message new/2");
            assert!(seen[1].starts_with("failed cur: "), "{seen:?}");
        }
        forbid(0o755);
    }

    #[cfg(unix)]
    #[test]
    fn loops_end_and_special_files_fail() {
        let folder = tree(&["a/1.txt"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/loop")).unwrap();
        std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap();
        std::fs::create_dir_all(folder.path().join("m/cur")).unwrap();
        std::fs::create_dir_all(folder.path().join("m/tmp")).unwrap();
        std::os::unix::net::UnixListener::bind(folder.path().join("m/cur/1")).unwrap();
        std::os::unix::fs::symlink("gone", folder.path().join("z")).unwrap();
        let seen = listed(folder.path(), false);
        let expected = ["file a/1.txt", "failed m/cur/1: not a regular file", "failed s: not a regular file"];
        assert_eq!(seen[..3], expected);
        assert!(seen[3].starts_with("failed z: "), "{seen:?}");
    }
}
