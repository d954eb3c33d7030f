//! Names of mail folders: what a rule may call one, and where it lies in a tree of maildirs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::utf7;

/// The longest name of a part in bytes, as it stands in the file system. Systems take 255, and servers add to names.
const LONGEST_PART: usize = 200;

/// The folders of a maildir itself.
pub(super) const OWN: [&str; 3] = ["tmp", "new", "cur"];

/// Where mail comes in, which is the tree's own maildir.
const INBOX: &str = "INBOX";

/// How a tree keeps its folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `Work/Offers` is `.Work.Offers` beside the inbox, in modified UTF-7.
    MaildirPlus,
    /// `Work/Offers` is `Work/Offers`, as it is written.
    Plain,
}

/// A folder by its name, in parts that hold nothing which a path would take for more than a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Folder {
    parts: Vec<String>,
}

impl Folder {
    /// Takes a name apart at each `/`.
    ///
    /// # Errors
    /// When it is empty, leads out of the tree or into a maildir's own folders, or no file system takes it.
    pub fn parse(name: &str) -> Result<Self> {
        ensure!(!name.is_empty(), "a folder needs a name");
        ensure!(!name.chars().any(char::is_control), "the folder {name:?} holds a control character");
        ensure!(!name.starts_with('/'), "the folder {name:?} is a whole path; name it as it is called within the tree");
        let parts: Vec<String> = name.split('/').map(String::from).collect();
        for part in &parts {
            match &**part {
                "" => bail!("the folder {name:?} has a part without a name"),
                blank if blank.trim().is_empty() => bail!("the folder {name:?} has a part of blanks alone"),
                "~" => {
                    bail!("the folder {name:?} is one of the tree, in which `~` means nothing; --into names the tree")
                }
                "." | ".." => bail!("the folder {name:?} leads elsewhere: `{part}` is no name"),
                own if OWN.contains(&own) => {
                    bail!("the folder {name:?} would lie in a maildir's own folder `{own}`")
                }
                hidden if hidden.starts_with('.') => {
                    bail!("the folder {name:?} begins with a dot, which mail programs write themselves or skip")
                }
                _ => {}
            }
        }
        Ok(Self { parts })
    }

    /// Its name, as a rule writes it.
    pub fn name(&self) -> String {
        self.parts.join("/")
    }

    /// Where the folder lies, seen from the tree's root.
    ///
    /// # Errors
    /// When the layout cannot hold the name.
    pub fn path(&self, layout: Layout) -> Result<PathBuf> {
        let shown = self.name();
        match layout {
            Layout::Plain => {
                for part in &self.parts {
                    check_length(&shown, part)?;
                }
                Ok(self.parts.iter().collect())
            }
            Layout::MaildirPlus if self.is_inbox() => Ok(PathBuf::new()),
            Layout::MaildirPlus => {
                let mut path = String::new();
                for part in &self.parts {
                    ensure!(
                        !part.contains('.'),
                        "the folder {shown:?} has a dot in it, which parts folders in Maildir++; write `/` to part folders"
                    );
                    let encoded = utf7::encode(part);
                    check_length(&shown, &encoded)?;
                    path.push('.');
                    path.push_str(&encoded);
                }
                // All parts are one name of a file.
                check_length(&shown, &path)?;
                Ok(path.into())
            }
        }
    }

    fn is_inbox(&self) -> bool {
        matches!(&self.parts[..], [only] if only.eq_ignore_ascii_case(INBOX))
    }
}

fn check_length(name: &str, part: &str) -> Result<()> {
    let length = part.len();
    ensure!(
        length <= LONGEST_PART,
        "the folder {:?} has a name of {length} bytes; {LONGEST_PART} are the most",
        name.chars().take(40).collect::<String>() + "..."
    );
    Ok(())
}

impl Layout {
    /// The layout of the tree that stands at `root`: Maildir++ where that is a maildir, unless it has folders and none of
    /// them is named so.
    pub fn of(root: &Path, is_maildir: impl Fn(&Path) -> bool) -> Self {
        if !is_maildir(root) {
            return Self::Plain;
        }
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let own = |name: &str| OWN.contains(&name);
        let folders = entries.filter(|entry| !entry.file_name().to_str().is_some_and(own) && is_maildir(&entry.path()));
        let (dotted, plain): (Vec<_>, Vec<_>) =
            folders.map(|entry| entry.file_name()).partition(|name| name.as_encoded_bytes().starts_with(b"."));
        if dotted.is_empty() && !plain.is_empty() { Self::Plain } else { Self::MaildirPlus }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str, layout: Layout) -> Result<String> {
        Ok(Folder::parse(name)?.path(layout)?.to_string_lossy().into_owned())
    }

    #[test]
    fn names_become_paths() {
        for (name, plus, plain) in [
            ("Invoices", ".Invoices", "Invoices"),
            ("Work/Offers", ".Work.Offers", "Work/Offers"),
            ("Rechnungen/für mich", ".Rechnungen.f&APw-r mich", "Rechnungen/für mich"),
            ("日本語 & 😉", ".&ZeVnLIqe- &- &2D3eCQ-", "日本語 & 😉"),
            ("-rf", ".-rf", "-rf"),
            ("~root", ".~root", "~root"),
            ("inbox", "", "inbox"),
            ("INBOX/x", ".INBOX.x", "INBOX/x"),
            ("$(reboot)\\`", ".$(reboot)\\`", "$(reboot)\\`"),
        ] {
            assert_eq!(path(name, Layout::MaildirPlus).unwrap(), plus);
            assert_eq!(path(name, Layout::Plain).unwrap(), plain);
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "",
            "/",
            "/etc",
            "a//b",
            "a/",
            "/a",
            " ",
            "~/Mail",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "a/.",
            "cur",
            "a/new",
            "tmp/a",
            "a\0b",
            "a\nb",
            "a\r",
            "\u{1b}[2J",
            "a\u{85}",
            ".a",
            "a/.b",
        ] {
            assert!(Folder::parse(name).is_err(), "{name:?}");
        }
        assert!(path("a.b", Layout::MaildirPlus).is_err() && path("a.b", Layout::Plain).is_ok());
        for long in ["x".repeat(201), "ü".repeat(101), "x".repeat(300)] {
            assert!(path(&long, Layout::MaildirPlus).is_err() && path(&long, Layout::Plain).is_err());
        }
        let deep = ["x".repeat(100), "y".repeat(100)].join("/");
        assert!(path(&deep, Layout::MaildirPlus).is_err() && path(&deep, Layout::Plain).is_ok());
    }
}
