//! From the name of a model to its files: on this machine, in the cache that the hub's own programs share, or from the
//! hub.
//!
//! Only this folder knows hf-hub and ureq, and opens connections. hf-hub gives the layout of the cache and the form of
//! the hub's lists; `transfer` says why it does not give the transfer.

mod cache;
mod checksum;
mod choose;
mod names;
mod remote;
mod settings;
mod transfer;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};

pub use cache::Cached;
use cache::{Folder, MAIN};
use choose::Choice;
pub use names::{KNOWN, Known};
use names::{Named, check_revision};
use remote::Remote;
use settings::HubSettings;
use transfer::{Transfer, persist};

use crate::engine::checkpoint::names::INDEX;
use crate::engine::checkpoint::shards;

/// A model on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// What records print: `OWNER/NAME`, `OWNER/NAME/FILE.gguf`, or the path as it was given.
    pub id: String,
    /// A folder with `config.json` and safetensors, or a GGUF file.
    pub path: PathBuf,
    /// The commit, of a model of the hub.
    pub revision: Option<String>,
    /// True where the cache lacks what may say how its vectors are made, and the hub could not be asked for it.
    pub may_lack_pooling: bool,
}

/// How the hub may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubOptions {
    /// A branch, tag or commit, instead of the branch `main`.
    pub revision: Option<String>,
    /// Ask nothing of the network.
    pub offline: bool,
}

/// Is told how a download goes.
pub trait DownloadProgress {
    /// A file of so many bytes begins to come, of which some are there.
    fn begin(&self, file: &str, total: Option<u64>, there: u64);
    /// So many bytes are there now.
    fn place(&self, bytes: u64);
    /// No more of it comes.
    fn end(&self);
    /// Something a user ought to know.
    fn note(&self, message: &str);
}

/// Finds a model: on this machine or in the cache without asking anybody, else on the hub.
///
/// # Errors
/// When the name means nothing, or the model cannot be got; the message says what to do.
pub fn locate(model: &str, options: &HubOptions, progress: &dyn DownloadProgress) -> Result<Located> {
    let named = prepare(model, options)?;
    let Named::Hub { repository, file } = &named else {
        return Ok(local(&named, model));
    };
    let settings = HubSettings::new(options.offline)?;
    let asked = Asked { settings: &settings, repository, file: file.as_deref(), revision: options.revision.as_deref() };
    match asked.in_cache() {
        CacheState::Whole(located) => Ok(located),
        CacheState::MayLackPooling(located) if settings.offline => Ok(located),
        // Of this commit, whatever its branch means today: nothing but small files is new.
        CacheState::MayLackPooling(located) => {
            let whole = Asked { revision: located.revision.as_deref(), ..asked }.get(progress);
            whole.context(
                "the cache has no modules.json of it, which may say how its vectors are made; --offline takes their mean",
            )
        }
        CacheState::Nothing(why) if settings.offline => Err(asked.offline(&why)),
        CacheState::Nothing(_) => asked.get(progress),
    }
}

/// Gets what the hub has of a model today, even when the cache holds an earlier state of its branch.
///
/// # Errors
/// As [`locate`]; also when the model is a path on this machine.
pub fn pull(model: &str, options: &HubOptions, progress: &dyn DownloadProgress) -> Result<Located> {
    let named = prepare(model, options)?;
    let Named::Hub { repository, file } = &named else {
        bail!("{model:?} is on this machine already; there is nothing to get");
    };
    let settings = HubSettings::new(options.offline)?;
    let asked = Asked { settings: &settings, repository, file: file.as_deref(), revision: options.revision.as_deref() };
    // A commit never changes, so one that is here need not be asked for.
    if options.revision.as_deref().is_some_and(names::is_commit)
        && let CacheState::Whole(located) = asked.in_cache()
    {
        return Ok(located);
    }
    if settings.offline {
        return match asked.in_cache() {
            CacheState::Whole(located) | CacheState::MayLackPooling(located) => Ok(located),
            CacheState::Nothing(why) => Err(asked.offline(&why)),
        };
    }
    asked.get(progress)
}

/// Checks a name without looking anywhere but on this machine.
///
/// # Errors
/// When the name means nothing, or the revision cannot be one.
pub fn check(model: &str, options: &HubOptions) -> Result<()> {
    prepare(model, options).map(drop)
}

/// Finds a model without asking the network.
///
/// # Errors
/// When the name means nothing, or the model is not there.
pub fn find(model: &str, revision: Option<&str>) -> Result<Located> {
    let options = HubOptions { revision: revision.map(Into::into), offline: true };
    let named = prepare(model, &options)?;
    let Named::Hub { repository, file } = &named else {
        return Ok(local(&named, model));
    };
    let settings = HubSettings::new(true)?;
    let asked = Asked { settings: &settings, repository, file: file.as_deref(), revision };
    match asked.in_cache() {
        CacheState::Whole(located) | CacheState::MayLackPooling(located) => Ok(located),
        CacheState::Nothing(why) => {
            bail!("{} is not in the cache: {why}; `mailsort models pull {model}` gets it", named.id())
        }
    }
}

/// The model with a short name that is meant, by that name or its repository. What is on this machine wins.
pub fn known(model: &str) -> Option<&'static Known> {
    match names::parse(model).ok()? {
        Named::Hub { repository, file: None } => KNOWN.iter().find(|known| known.repository == repository),
        _ => None,
    }
}

/// True for files of the kinds that mailsort opens.
pub fn is_used(name: &str) -> bool {
    [".json", ".safetensors", ".gguf"].iter().any(|ending| name.ends_with(ending))
}

/// All models in the cache that look whole.
///
/// # Errors
/// When there is no place for a cache.
pub fn cached() -> Result<Vec<Cached>> {
    Ok(cache::all(&HubSettings::new(true)?.cache))
}

fn prepare(model: &str, options: &HubOptions) -> Result<Named> {
    let named = names::parse(model)?;
    if let Some(revision) = &options.revision {
        check_revision(revision)?;
        let local = matches!(named, Named::Local(_));
        ensure!(!local, "{model:?} is on this machine, where there are no revisions; leave out --revision");
    }
    Ok(named)
}

fn local(named: &Named, model: &str) -> Located {
    Located { id: named.id(), path: Path::new(model).into(), revision: None, may_lack_pooling: false }
}

/// What the cache has of a model.
enum CacheState {
    Whole(Located),
    /// All that is needed, but nobody has asked yet how it pools.
    MayLackPooling(Located),
    /// Not enough, and why.
    Nothing(String),
}

/// A model of the hub that is wanted.
struct Asked<'a> {
    settings: &'a HubSettings,
    repository: &'a str,
    file: Option<&'a str>,
    revision: Option<&'a str>,
}

impl Asked<'_> {
    fn folder(&self) -> Folder {
        Folder::new(&self.settings.cache, self.repository, self.revision)
    }

    fn id(&self, gguf: Option<&str>) -> String {
        gguf.map_or(self.repository.into(), |file| format!("{}/{file}", self.repository))
    }

    fn in_cache(&self) -> CacheState {
        let folder = self.folder();
        let Some(snapshot) = folder.current() else {
            let revision = self.revision.map_or(String::new(), |revision| format!(" at the revision {revision}"));
            return CacheState::Nothing(format!("nothing of it is in {}{revision}", self.settings.cache.display()));
        };
        let located = |gguf: Option<&str>, path| {
            let revision = Some(snapshot.commit.clone());
            Located { id: self.id(gguf), path, revision, may_lack_pooling: false }
        };
        if let Some(file) = self.file {
            let path = snapshot.path.join(file);
            let missing = || CacheState::Nothing(format!("{file} is missing from {}", snapshot.path.display()));
            return if path.is_file() { CacheState::Whole(located(Some(file), path)) } else { missing() };
        }
        match folder.lacks(&snapshot) {
            // Only the hub knows whether these are all of its GGUF files, and so which is meant.
            Some(_) if !Folder::ggufs(&snapshot).is_empty() => {
                let names = Folder::ggufs(&snapshot).join(", ");
                CacheState::Nothing(format!("the cache has {names}; name one as {}/FILE.gguf", self.repository))
            }
            Some(file) => CacheState::Nothing(format!("{file} is missing from {}", snapshot.path.display())),
            None if folder.may_lack_pooling(&snapshot) => {
                CacheState::MayLackPooling(Located { may_lack_pooling: true, ..located(None, snapshot.path.clone()) })
            }
            None => CacheState::Whole(located(None, snapshot.path.clone())),
        }
    }

    fn offline(&self, why: &str) -> anyhow::Error {
        let id = self.id(self.file);
        anyhow!(
            "{id} is not in the cache, and --offline or HF_HUB_OFFLINE forbids to get it: {why}; get it once with \
             `mailsort models pull {id}`, online, or use the built-in model by leaving out --model"
        )
    }

    fn get(&self, progress: &dyn DownloadProgress) -> Result<Located> {
        self.get_files(progress).with_context(|| {
            format!("cannot get the model {}, and no folder or file of that name is here", self.id(self.file))
        })
    }

    fn get_files(&self, progress: &dyn DownloadProgress) -> Result<Located> {
        let remote = Remote::new(self.settings, self.repository);
        let (commit, there) = persist(progress, || 0, || remote.list(self.revision.unwrap_or(MAIN)))?;
        let Choice { files, absent, gguf } = choose::choose(&there, self.file)?;
        let folder = self.folder();
        let snapshot = folder.snapshot(&commit);
        let transfer = Transfer { remote: &remote, folder: &folder, snapshot: &snapshot, progress };
        for name in &files {
            transfer.get(name)?;
            if name == INDEX {
                for shard in shards(&snapshot.path.join(name))? {
                    transfer.get(&shard)?;
                }
            }
        }
        for name in absent {
            folder.note_absent(&commit, name);
        }
        folder.point_to(&commit)?;
        let path = gguf.as_ref().map_or(snapshot.path.clone(), |file| snapshot.path.join(file));
        Ok(Located { id: self.id(gguf.as_deref()), path, revision: Some(commit), may_lack_pooling: false })
    }
}
