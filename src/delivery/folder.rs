//! Names of mail folders: which names a rule may use, and the path that a name has in a maildir tree.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use super::spelling::{self, Spelling, TreeLayout};
use crate::maildir::SUBFOLDERS;

/// Longest name of one level, in bytes on the disk. File systems take 255, and mail servers append to names.
const LONGEST_PART: usize = 200;

/// The folder that is the tree's root maildir.
const INBOX: &str = "INBOX";

/// A folder name, whose levels are plain file names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FolderName {
    parts: Vec<String>,
}

impl FolderName {
    /// Splits a name at each `/`.
    ///
    /// # Errors
    /// When the name is empty, leads out of the tree or into a maildir's subfolders, or is no valid file name.
    pub fn parse(name: &str) -> Result<Self> {
        ensure!(!name.is_empty(), "a folder needs a name");
        ensure!(!name.chars().any(char::is_control), "the folder {name:?} holds a control character");
        ensure!(!name.starts_with('/'), "the folder {name:?} is an absolute path; name it relative to the tree");
        let parts: Vec<String> = name.split('/').map(String::from).collect();
        for part in &parts {
            match &**part {
                "" => bail!("the folder {name:?} has an empty part"),
                blank if blank.trim().is_empty() => bail!("the folder {name:?} has a blank part"),
                "~" => {
                    bail!("the folder {name:?} uses `~`, which means nothing within the tree; set the tree with --into")
                }
                "." | ".." => bail!("the folder {name:?} leads elsewhere: `{part}` is not a name"),
                own if SUBFOLDERS.contains(&own) => {
                    bail!("the folder {name:?} lies in the subfolder `{own}` of a maildir")
                }
                hidden if hidden.starts_with('.') => {
                    bail!("the folder {name:?} begins with a dot, which mail programs reserve or skip")
                }
                _ => {}
            }
        }
        Ok(Self { parts })
    }

    /// The name, as rules write it.
    pub fn name(&self) -> String {
        self.parts.join("/")
    }

    /// Path of the folder relative to the tree's root: the one that is there, in whichever spelling, or else that of a
    /// new one.
    ///
    /// # Errors
    /// When the layout cannot hold the name, or two folders have it.
    pub(super) fn path(&self, root: &Path, layout: TreeLayout) -> Result<PathBuf> {
        if layout == TreeLayout::MaildirPlus && self.is_inbox() {
            return Ok(PathBuf::new());
        }
        let shown = self.name();
        let spelling = Spelling::of(root, layout);
        let levels: Vec<String> = self.parts.iter().map(|part| spelling.write(part)).collect();
        for (part, level) in self.parts.iter().zip(&levels) {
            ensure!(
                layout == TreeLayout::Plain || !part.contains('.'),
                "the folder {shown:?} contains a dot, which separates levels in Maildir++; separate levels with `/`"
            );
            check_length(&shown, level)?;
        }
        let (found, depth) = spelling::find(root, layout, &self.parts)?;
        let path = match layout {
            TreeLayout::Plain => levels[depth..].iter().fold(found, |path, level| path.join(level)),
            TreeLayout::MaildirPlus => {
                let mut path = found.into_os_string();
                levels[depth..].iter().for_each(|level| path.push(format!(".{level}")));
                path.into()
            }
        };
        if layout == TreeLayout::MaildirPlus {
            // All levels together are one file name.
            check_length(&shown, &path.to_string_lossy())?;
        }
        Ok(path)
    }

    fn is_inbox(&self) -> bool {
        matches!(&self.parts[..], [only] if only.eq_ignore_ascii_case(INBOX))
    }
}

fn check_length(name: &str, part: &str) -> Result<()> {
    let length = part.len();
    ensure!(
        length <= LONGEST_PART,
        "the folder {:?} has a name of {length} bytes; the limit is {LONGEST_PART}",
        name.chars().take(40).collect::<String>() + "..."
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str, layout: TreeLayout) -> Result<String> {
        let root = tempfile::tempdir()?;
        Ok(FolderName::parse(name)?.path(root.path(), layout)?.to_string_lossy().into_owned())
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
            assert_eq!(path(name, TreeLayout::MaildirPlus).unwrap(), plus);
            assert_eq!(path(name, TreeLayout::Plain).unwrap(), plain);
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
            assert!(FolderName::parse(name).is_err(), "{name:?}");
        }
        assert!(path("a.b", TreeLayout::MaildirPlus).is_err() && path("a.b", TreeLayout::Plain).is_ok());
        for long in ["x".repeat(201), "ü".repeat(101), "x".repeat(300)] {
            assert!(path(&long, TreeLayout::MaildirPlus).is_err() && path(&long, TreeLayout::Plain).is_err());
        }
        let deep = ["x".repeat(100), "y".repeat(100)].join("/");
        assert!(path(&deep, TreeLayout::MaildirPlus).is_err() && path(&deep, TreeLayout::Plain).is_ok());
    }
}
