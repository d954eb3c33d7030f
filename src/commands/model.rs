//! From the flags to a model that is ready.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use super::scoring::{Memory, Pairs, Scorer, Vectors};
use super::stream::PIECE;
use crate::cache::{Cache, ModelKey};
use crate::cli::Engine;
use crate::engine::hub::{self, HubOptions};
use crate::engine::{Builtin, Dtype, Loaded, Model, Options, device};
use crate::labels::LabelSet;
use crate::report::{Downloads, Report};

/// The name of the embedded model.
const BUILTIN: &str = "builtin";

/// How many documents a model takes that needs a good part of a second for each.
const SLOW_PIECE: usize = 16;
/// How many a GPU takes, which idles between two pieces: a second or two of the largest models.
const GPU_PIECE: usize = 48;

/// What scores a run, and by what.
pub(super) struct Ready {
    pub(super) scorer: Scorer,
    /// All that the scores depend on besides labels and texts, for a run that goes on after another.
    pub(super) fingerprint: String,
    /// How many documents are to be scored between two looks at whether to stop.
    pub(super) piece: usize,
}

/// Opens models.
struct Opener<'a> {
    flags: &'a Engine,
    report: &'a Report,
    downloads: &'a Downloads,
    device: Option<device::Opened>,
    cache: Option<Arc<Cache>>,
    fingerprint: String,
}

/// Opens what the flags ask for.
///
/// # Errors
/// When a model is not to be had or cannot be used, flags contradict it, or it knows no word of a label.
pub(super) fn open(flags: &Engine, sets: &[LabelSet], report: &Report, downloads: &Downloads) -> Result<Ready> {
    let name = flags.source.model.as_deref().unwrap_or(BUILTIN);
    let cache = flags.cache.as_deref().filter(|_| name != BUILTIN).map(Cache::open).transpose()?;
    let cache = cache.map(Arc::new);
    let mut opener = Opener { flags, report, downloads, device: None, cache, fingerprint: String::new() };
    let instructs: Vec<_> = sets.iter().map(|set| flags.instruct.clone().or(set.instruct.clone())).collect();
    let own = flags.source.options();
    if name == BUILTIN {
        check_builtin(flags, report)?;
    }
    // In a cascade it is the faster model whose vectors are compared.
    let dims = flags.dims.filter(|_| flags.shortlist.is_none());
    let (model, memory) = opener.open(name, &own, dims)?;
    let scorer = match model {
        Model::Embedder(engine) => {
            ensure!(
                flags.shortlist.is_none(),
                "--shortlist is for rerankers; {} scores all labels at once",
                engine.id()
            );
            Scorer::Vectors(Vectors::new(engine, sets, &instructs, flags.max_tokens, memory)?)
        }
        Model::Reranker(engine) => {
            let shortlist = flags.shortlist.map(|most| opener.shortlist(sets, &instructs, most)).transpose()?;
            Scorer::Pairs(Pairs::new(engine, sets, &instructs, flags.max_tokens, shortlist, memory))
        }
    };
    let Engine { instruct, shortlist, max_tokens, .. } = flags;
    let fingerprint = format!("{} {instruct:?} {shortlist:?} {max_tokens:?}", opener.fingerprint);
    let gpu = opener.device.as_ref().is_some_and(device::Opened::is_gpu);
    let piece = match name {
        BUILTIN => PIECE,
        _ if gpu => GPU_PIECE,
        _ => SLOW_PIECE,
    };
    Ok(Ready { scorer, fingerprint, piece })
}

/// Refuses what the embedded model has not, and warns of what it does not need.
fn check_builtin(flags: &Engine, report: &Report) -> Result<()> {
    let gpu = matches!(flags.device, device::DeviceChoice::Cuda(_));
    let given = [
        ("--dims", flags.dims.is_some()),
        ("--device", gpu),
        ("--dtype", flags.dtype != Dtype::Auto),
        ("--batch-tokens", flags.batch_tokens.is_some()),
    ];
    for (flag, given) in given {
        ensure!(!given, "{flag} has no meaning for the built-in model; name another with --model");
    }
    if flags.instruct.is_some() {
        report.warn("the built-in model takes no instruction; --instruct is for models of --model");
    }
    if flags.cache.is_some() {
        report.warn("the built-in model is faster than a cache; --cache is not used");
    }
    Ok(())
}

impl Opener<'_> {
    fn shortlist(&mut self, sets: &[LabelSet], instructs: &[Option<String>], most: usize) -> Result<(Vectors, usize)> {
        let name = self.flags.shortlist_model.clone();
        let options = HubOptions { revision: None, ..self.flags.source.options() };
        ensure!(
            name != BUILTIN || self.flags.dims.is_none(),
            "--dims is for embeddings; the built-in model, which makes the shortlist, was not trained for it"
        );
        match self.open(&name, &options, self.flags.dims)? {
            (Model::Embedder(engine), memory) => Ok((Vectors::new(engine, sets, instructs, None, memory)?, most)),
            (Model::Reranker(_), _) => bail!("--shortlist-model {name} is a reranker; an embedding can choose labels"),
        }
    }

    /// Opens a model, and its part of the cache.
    fn open(&mut self, name: &str, options: &HubOptions, dims: Option<usize>) -> Result<(Model, Option<Memory>)> {
        if name == BUILTIN {
            return Ok((Model::Embedder(Box::new(Builtin::new()?)), None));
        }
        let located = hub::locate(name, options, self.downloads)?;
        let Engine { dtype, batch_tokens, device, .. } = *self.flags;
        let opened = match &self.device {
            Some(opened) => opened,
            None => {
                let opened = device::open(device)?;
                if device == device::DeviceChoice::Auto {
                    self.report.say(format_args!("--device auto: computing on {}", opened.name));
                }
                self.device.insert(opened)
            }
        };
        let options = Options { dtype, dims, batch_tokens };
        let Loaded { model, class, notes } = crate::engine::open(&located.id, &located.path, opened, options)?;
        notes.iter().for_each(|note| self.report.warn(format_args!("{}: {note}", located.id)));
        let revision = located.revision.map_or_else(|| crate::engine::fingerprint(&located.path), Ok)?;
        self.fingerprint.push_str(&format!("{} {revision} {class} {dims:?};", located.id));
        let key = ModelKey { id: located.id, revision, dtype: class };
        Ok((model, self.cache.clone().map(|cache| Memory::new(cache, key))))
    }
}
