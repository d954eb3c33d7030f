//! The paths that a run reads: given one by one and checked at once, or streamed from a list of names.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};
use encoding_rs::Encoding;

use crate::charset::{self, BYTE_ORDER_MARK, Transcoded};
use crate::intake::{self, FileEntry, Files, Options, RowFields, sniff};
use crate::platform;

/// What a run reads.
#[derive(Clone, Debug, Default)]
pub struct InputSpec {
    /// Files and folders; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    /// A list of inputs, instead of `inputs`.
    pub files_from: Option<PathBuf>,
    /// Names in the list end with a NUL byte.
    pub null: bool,
    /// Reads every file as this kind instead of telling it from name and bytes.
    pub format: Option<sniff::SourceFormat>,
    /// Reads the sub-folders of maildirs too.
    pub recursive: bool,
    /// The charset of tables, rows, texts and pages, instead of telling it from their bytes.
    pub encoding: Option<&'static Encoding>,
    /// Which columns of tables and rows hold their texts, subjects and ids.
    pub fields: RowFields,
    /// The sheet of a workbook; `None` for all that are visible.
    pub sheet: Option<String>,
}

impl InputSpec {
    pub(super) fn options(&self) -> Options {
        Options {
            format: self.format,
            recursive: self.recursive,
            without_links: false,
            listed: self.files_from.is_some(),
            encoding: self.encoding,
            fields: self.fields.clone(),
            sheet: self.sheet.clone(),
        }
    }
}

/// An iterator over input paths.
pub(super) type Paths = Box<dyn Iterator<Item = PathBuf> + Send>;

/// Why a list of inputs could not be read to its end; empty when it could, or there was none.
pub(super) type BrokenList = Arc<OnceLock<io::Error>>;

/// Makes the iterator over inputs. Paths that are given must exist; a name of a list may be gone when it is read, and
/// then becomes an error record.
///
/// # Errors
/// When an input on the command line or the list cannot be opened.
pub(super) fn paths(input: &InputSpec, options: &Options, output: &OutputGuard) -> Result<(Paths, BrokenList)> {
    let broken = BrokenList::default();
    output.spare(input.inputs.iter().chain(&input.files_from))?;
    let Some(list) = &input.files_from else {
        for path in &input.inputs {
            intake::check(path, options)?;
        }
        return Ok((Box::new(input.inputs.clone().into_iter()), broken));
    };
    let reader: Box<dyn BufRead + Send> = if list.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(list).with_context(|| format!("cannot read the list of inputs {}", list.display()))?;
        Box::new(BufReader::new(file))
    };
    let by_nul = input.null;
    let names = Names { reader, end: if by_nul { 0 } else { b'\n' }, blank: 0, began: false };
    let noted = broken.clone();
    let output = output.clone();
    let checked = names.map(move |name| checked(&name?, by_nul, &output));
    // The first unusable name ends the list, and the run says why.
    let whole = checked.map_while(move |path| path.map_err(|error| noted.set(error)).ok());
    Ok((Box::new(whole.flatten()), broken))
}

/// The names of a list.
struct Names {
    reader: Box<dyn BufRead + Send>,
    end: u8,
    /// How many empty names came in a row.
    blank: usize,
    began: bool,
}

/// No system has longer paths.
const LONGEST_NAME: usize = 64 * 1024;
/// With more empty names in a row it is no list but a device of zeros.
const MOST_BLANK: usize = 1_000_000;

impl Names {
    /// Passes a byte order mark by, which editors of Windows write, and reads UTF-16 by its own.
    fn begin(&mut self) -> io::Result<()> {
        let mut mark = Vec::new();
        let may_be_mark = |seen: &[u8]| [BYTE_ORDER_MARK, b"\xff\xfe", b"\xfe\xff"].iter().any(|m| m.starts_with(seen));
        while mark.len() < 3 && may_be_mark(&mark) {
            if self.reader.by_ref().take(1).read_to_end(&mut mark)? == 0 {
                break;
            }
        }
        let is_wide = charset::utf16_of(&mark).is_some();
        let rest = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        let rest = io::Cursor::new(charset::without_mark(&mark).to_vec()).chain(rest);
        self.reader = if is_wide { Box::new(BufReader::new(Transcoded::new(rest, None))) } else { Box::new(rest) };
        Ok(())
    }
}

impl Iterator for Names {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        // Names that end with NUL come from programs, which write no mark.
        if !std::mem::replace(&mut self.began, true)
            && self.end != 0
            && let Err(error) = self.begin()
        {
            return Some(Err(error));
        }
        let mut name = Vec::new();
        match (&mut self.reader).take(LONGEST_NAME as u64).read_until(self.end, &mut name) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        let is_whole = name.pop_if(|last| *last == self.end).is_some();
        self.blank = if name.is_empty() { self.blank + 1 } else { 0 };
        if (!is_whole && name.len() == LONGEST_NAME) || self.blank > MOST_BLANK {
            return Some(Err(io::Error::other("it holds no names of files")));
        }
        Some(Ok(name))
    }
}

/// The path of one name of a list; `None` for an empty name.
fn checked(name: &[u8], by_nul: bool, output: &OutputGuard) -> io::Result<Option<PathBuf>> {
    if !by_nul && matches!(name, [0, 1..=255, ..] | [1..=255, 0, 1..=255, 0, ..]) {
        return Err(io::Error::other("it is in UTF-16 without a byte order mark; save it as UTF-8"));
    }
    if !by_nul && name.contains(&0) {
        return Err(io::Error::other("it holds NUL bytes, as `find -print0` writes them; add -0"));
    }
    let path = path(name, by_nul);
    match &path {
        Some(path) if output.replaces(path) => Err(io::Error::other(format!("{} is the output too", path.display()))),
        _ => Ok(path),
    }
}

/// Keeps an output from replacing a file that the run reads.
#[derive(Clone, Default)]
pub struct OutputGuard(Option<PathBuf>);

impl OutputGuard {
    /// Remembers the file of `--output` if there is one already; a new file replaces nothing.
    pub fn new(output: Option<&Path>) -> Self {
        Self(output.and_then(|path| path.canonicalize().ok()).filter(|path| path.is_file()))
    }

    /// True when the output is `path`, or lies in the folder `path`.
    fn replaces(&self, path: &Path) -> bool {
        let Some(output) = &self.0 else {
            return false;
        };
        let is_dir = path.is_dir();
        // Names are compared first, as a disk access for each of many files is slow.
        let possible = is_dir || path.is_symlink() || path.file_name() == output.file_name();
        possible && path.canonicalize().is_ok_and(|path| output == &path || (is_dir && output.starts_with(&path)))
    }

    /// Refuses an output that is one of the files that the run reads, or an existing file in one of its folders: the
    /// run would overwrite mail or labels.
    ///
    /// # Errors
    /// When the output is, or lies in, one of `paths`.
    pub fn spare(&self, paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<()> {
        let replaced = paths.into_iter().find(|path| self.replaces(path.as_ref()));
        match replaced.as_ref().map(AsRef::as_ref) {
            Some(path) if path.is_dir() => bail!("{}", self.in_folder(path)),
            Some(path) => {
                bail!("the output {} is read by this run, which would replace it; name another", path.display())
            }
            None => Ok(()),
        }
    }

    fn in_folder(&self, folder: &Path) -> String {
        let output = self.0.as_deref().unwrap_or(folder).display();
        format!(
            "the output {output} is there already, in the input folder {}; name a file elsewhere, or remove it first",
            folder.display()
        )
    }
}

fn path(name: &[u8], by_nul: bool) -> Option<PathBuf> {
    let name = name.strip_suffix(b"\r").filter(|_| !by_nul).unwrap_or(name);
    (!name.is_empty()).then(|| platform::path_of_bytes(name.to_vec()))
}

/// The total size of the inputs, for progress; `None` where it is not known.
pub(super) fn total_bytes(input: &InputSpec, options: &Options) -> Option<u64> {
    if input.files_from.is_some() {
        return None;
    }
    let size = |path: &Path| std::fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len());
    let mut total = 0;
    for path in &input.inputs {
        if !path.is_dir() {
            total += size(path)?;
            continue;
        }
        for found in Files::new(path, options.recursive) {
            if let FileEntry::File(path) | FileEntry::Message(path) = found {
                total += size(&path).unwrap_or(0);
            }
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_list() {
        assert_eq!(path(b"a b.eml\r", false), Some("a b.eml".into()));
        assert_eq!(path(b"a b.eml\r", true), Some("a b.eml\r".into()));
        assert_eq!(path(b"", false), None);
    }

    #[test]
    fn marks_of_lists_are_no_part_of_a_name() {
        let names = |list: &[u8]| {
            let names = Names { reader: Box::new(io::Cursor::new(list.to_vec())), end: b'\n', blank: 0, began: false };
            names.map(|name| String::from_utf8(name.unwrap()).unwrap()).collect::<Vec<_>>()
        };
        let wide = |list: &str| -> Vec<u8> { list.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        for list in ["1.eml\n2 ä.eml\n", "\u{feff}1.eml\n2 ä.eml\n"] {
            assert_eq!(names(list.as_bytes()), ["1.eml", "2 ä.eml"], "{list:?}");
        }
        assert_eq!(names(&wide("\u{feff}1.eml\n2 ä.eml\n")), ["1.eml", "2 ä.eml"]);
        assert_eq!(names(b"a\n"), ["a"]);
        let guard = OutputGuard::default();
        assert!(checked(&wide("1.eml"), false, &guard).unwrap_err().to_string().contains("UTF-16"));
        assert!(checked(b"1.eml\x002.eml\0", false, &guard).unwrap_err().to_string().contains("-0"));
    }
}
