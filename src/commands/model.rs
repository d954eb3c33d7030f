//! From the flags to a model that is ready: first all that can be told without its weights, then the weights.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use super::scoring::{Embeddings, Memory, Pairs, Scorer, Vectors};
use super::stream::PIECE;
use crate::cache::{Cache, ModelKey};
use crate::cli::Engine;
use crate::engine::device::{self, DeviceChoice};
use crate::engine::hub::{self, HubOptions, Located};
use crate::engine::{BUILTIN, Builtin, Dtype, Loaded, Model, Options, Sketch};
use crate::labels::LabelSet;
use crate::report::{Downloads, Report};

/// How many documents a model takes that needs a good part of a second for each.
const SLOW_PIECE: usize = 16;
/// How many a GPU takes, which idles between two pieces: a second or two of the largest models.
const GPU_PIECE: usize = 48;

/// What scores a run, and by what.
pub(super) struct Ready {
    pub(super) scorer: Scorer,
    /// All that the scores depend on besides labels and texts, for a run that goes on after another. Empty where nobody
    /// will ask: to read all bytes of a large model takes seconds.
    pub(super) fingerprint: String,
}

/// A model that makes vectors of texts, for a classifier.
pub(super) struct Embedding {
    pub(super) embeddings: Embeddings,
    pub(super) key: ModelKey,
}

/// The models that the flags ask for, none of them loaded.
pub(super) struct Plan<'a> {
    flags: &'a Engine,
    cache: Option<Arc<Cache>>,
    /// `None` where the embedded model does it all.
    device: Option<device::Opened>,
    main: Chosen,
    /// What makes the shortlist.
    faster: Option<Chosen>,
}

/// A model that is on this machine and fit for its part.
enum Chosen {
    Builtin,
    Files { located: Located, sketch: Sketch, dims: Option<usize> },
}

/// What a model is chosen for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Its scores are printed.
    Scores,
    /// It chooses which labels are scored.
    Shortlist,
}

/// Finds what the flags ask for, fetches what is not here, and checks all that shows without loading weights.
///
/// # Errors
/// When a model is not to be had or none that mailsort runs, flags contradict it or each other, or the device or the
/// cache cannot be used.
pub(super) fn plan<'a>(flags: &'a Engine, report: &Report, downloads: &Downloads) -> Result<Plan<'a>> {
    let name = flags.source.model.as_deref().unwrap_or(BUILTIN);
    let faster = flags.shortlist.map(|_| flags.shortlist_model.as_str());
    let parts = || [(name, Part::Scores)].into_iter().chain(faster.map(|name| (name, Part::Shortlist)));
    for (name, part) in parts() {
        if name == BUILTIN {
            check_builtin(flags, part, report)?;
            continue;
        }
        hub::check(name, &options(flags, part))?;
        if let Some(known) = hub::known(name) {
            // Before gigabytes of it are fetched.
            let sketch = Sketch { embeds: known.dims.is_some(), most_dims: known.dims, runs_on_gpu: true };
            check(flags, part, name, &sketch)?;
        }
    }
    let is_file = parts().any(|(name, _)| name != BUILTIN);
    // One that is asked for and not there makes everything else needless.
    let is_asked = matches!(flags.device, DeviceChoice::Cuda(_));
    let asked = (is_file && is_asked).then(|| device::open(flags.device)).transpose()?;
    let choose = |name: &str, part| -> Result<Chosen> {
        if name == BUILTIN {
            return Ok(Chosen::Builtin);
        }
        let located = hub::locate(name, &options(flags, part), downloads)?;
        let sketch = Sketch::of(&located.path)?;
        check(flags, part, &located.id, &sketch)?;
        Ok(Chosen::Files { located, sketch, dims: dims(flags, part) })
    };
    // The smaller one first, as it may be no fit.
    let faster = faster.map(|name| choose(name, Part::Shortlist)).transpose()?;
    let main = choose(name, Part::Scores)?;
    let is_for_gpu = [Some(&main), faster.as_ref()].into_iter().flatten().any(Chosen::runs_on_gpu);
    ensure!(
        is_for_gpu || asked.is_none(),
        "--device {}: {name} runs on the processor, as all encoders do; leave out --device",
        flags.device
    );
    if !is_for_gpu {
        check_encoders(flags, name)?;
    }
    let choice = if is_for_gpu { flags.device } else { DeviceChoice::Cpu };
    let device = if is_file { Some(asked.map_or_else(|| device::open(choice), Ok)?) } else { None };
    let cache = flags.cache.as_deref().filter(|_| name != BUILTIN).map(Cache::open).transpose()?;
    Ok(Plan { flags, cache: cache.map(Arc::new), device, main, faster })
}

/// A revision is that of the model that scores.
fn options(flags: &Engine, part: Part) -> HubOptions {
    let options = flags.source.options();
    if part == Part::Scores { options } else { HubOptions { revision: None, ..options } }
}

impl Chosen {
    fn runs_on_gpu(&self) -> bool {
        matches!(self, Self::Files { sketch: Sketch { runs_on_gpu: true, .. }, .. })
    }

    fn dims(&self) -> Option<usize> {
        match self {
            Self::Builtin => None,
            Self::Files { dims, .. } => *dims,
        }
    }
}

/// In a cascade it is the faster model whose vectors are compared.
fn dims(flags: &Engine, part: Part) -> Option<usize> {
    let compares = if flags.shortlist.is_some() { Part::Shortlist } else { Part::Scores };
    flags.dims.filter(|_| part == compares)
}

/// # Errors
/// When the model cannot do what the flags ask of it.
fn check(flags: &Engine, part: Part, id: &str, sketch: &Sketch) -> Result<()> {
    match part {
        Part::Scores => ensure!(
            flags.shortlist.is_none() || !sketch.embeds,
            "--shortlist is for rerankers; {id} scores all labels at once"
        ),
        Part::Shortlist => {
            ensure!(sketch.embeds, "--shortlist-model {id} is a reranker; an embedding can choose labels");
        }
    }
    sketch.check_dims(id, dims(flags, part))
}

/// Refuses what encoders have not, where no other model runs that has it.
fn check_encoders(flags: &Engine, id: &str) -> Result<()> {
    let given = [
        ("--dtype", !matches!(flags.dtype, Dtype::Auto | Dtype::F32)),
        ("--batch-tokens", flags.batch_tokens.is_some()),
    ];
    for (flag, given) in given {
        ensure!(
            !given,
            "{flag} has no meaning for {id}: encoders compute in f32, each text by itself; leave out {flag}"
        );
    }
    Ok(())
}

/// Refuses what the embedded model has not, and warns of what it does not need.
fn check_builtin(flags: &Engine, part: Part, report: &Report) -> Result<()> {
    if part == Part::Shortlist {
        ensure!(
            flags.dims.is_none(),
            "--dims is for embeddings; the built-in model, which makes the shortlist, was not trained for it"
        );
        return Ok(());
    }
    ensure!(flags.shortlist.is_none(), "--shortlist is for rerankers; {BUILTIN} scores all labels at once");
    let gpu = matches!(flags.device, DeviceChoice::Cuda(_));
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

/// The files of a model that an output must not replace: one that holds the model, and the cache.
pub(super) fn files(engine: &Engine) -> impl Iterator<Item = PathBuf> + Clone {
    let model = engine.source.model.as_ref().map(PathBuf::from).filter(|path| path.is_file());
    model.into_iter().chain(engine.cache.clone())
}

impl Plan<'_> {
    /// What records call the model that scores.
    pub(super) fn id(&self) -> &str {
        match &self.main {
            Chosen::Builtin => BUILTIN,
            Chosen::Files { located, .. } => &located.id,
        }
    }

    /// True where it scores pairs of mail and label.
    pub(super) fn is_of_pairs(&self) -> bool {
        matches!(self.main, Chosen::Files { sketch: Sketch { embeds: false, .. }, .. })
    }

    /// True where a mail takes milliseconds or more.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self.main, Chosen::Files { .. })
    }

    /// How many documents are to be scored between two looks at whether to stop.
    pub(super) fn piece(&self) -> usize {
        match self.main {
            Chosen::Builtin => PIECE,
            _ if self.is_on_gpu(&self.main) => GPU_PIECE,
            _ => SLOW_PIECE,
        }
    }

    /// True where the same mail gets the same scores to the last bit: a GPU adds in another order beside other mails.
    pub(super) fn is_exact(&self) -> bool {
        !self.chosen().any(|chosen| self.is_on_gpu(chosen))
    }

    fn chosen(&self) -> impl Iterator<Item = &Chosen> {
        [Some(&self.main), self.faster.as_ref()].into_iter().flatten()
    }

    fn is_on_gpu(&self, chosen: &Chosen) -> bool {
        chosen.runs_on_gpu() && self.device.as_ref().is_some_and(device::Opened::is_gpu)
    }

    /// Loads the models and reads the labels. `identified` says that the fingerprint is wanted.
    ///
    /// # Errors
    /// When a model is damaged or does not fit into the memory, or cannot read a label.
    pub(super) fn load(&self, sets: &[LabelSet], identified: bool, report: &Report) -> Result<Ready> {
        let flags = self.flags;
        let instructs: Vec<_> = sets.iter().map(|set| flags.instruct.clone().or(set.instruct.clone())).collect();
        self.say_device(report);
        let mut seen = Vec::new();
        let mut open = |chosen: &Chosen| -> Result<(Model, Option<Memory>)> {
            let (model, class) = self.open(chosen, report)?;
            let key = if identified || self.cache.is_some() { Some(key(chosen, class)?) } else { None };
            seen.extend(
                key.as_ref().map(|key| format!("{} {} {} {:?};", key.id, key.revision, key.dtype, chosen.dims())),
            );
            Ok((model, key.and_then(|key| self.memory(chosen, key))))
        };
        let (model, memory) = open(&self.main)?;
        self.say_instruct(&model, report);
        let scorer = match model {
            Model::Embedder(engine) => {
                Scorer::Vectors(Vectors::new(engine, sets, &instructs, flags.max_tokens, memory)?)
            }
            Model::Reranker(engine) => {
                let shortlist = match (&self.faster, flags.shortlist) {
                    (Some(faster), Some(most)) => match open(faster)? {
                        (Model::Embedder(engine), memory) => {
                            Some((Vectors::new(engine, sets, &instructs, None, memory)?, most))
                        }
                        (Model::Reranker(_), _) => bail!("a reranker cannot choose labels"),
                    },
                    _ => None,
                };
                Scorer::Pairs(Pairs::new(engine, sets, &instructs, flags.max_tokens, shortlist, memory)?)
            }
        };
        let Engine { instruct, shortlist, max_tokens, .. } = flags;
        let given = format!("{} {instruct:?} {shortlist:?} {max_tokens:?}", seen.concat());
        Ok(Ready { scorer, fingerprint: if identified { given } else { String::new() } })
    }

    /// Loads the model for its vectors alone.
    ///
    /// # Errors
    /// When it gives none, is damaged or does not fit into the memory.
    pub(super) fn load_embedding(&self, report: &Report) -> Result<Embedding> {
        ensure!(
            !self.is_of_pairs(),
            "{} is a reranker, and a classifier is learned from vectors: name an embedding, or take the reranker's records \
             as samples",
            self.id()
        );
        self.say_device(report);
        let (model, class) = self.open(&self.main, report)?;
        self.say_instruct(&model, report);
        let Model::Embedder(engine) = model else {
            bail!("{} gives no vectors", self.id());
        };
        let key = key(&self.main, class)?;
        let memory = self.memory(&self.main, key.clone());
        Ok(Embedding { embeddings: Embeddings::new(engine, self.flags.max_tokens, memory), key })
    }

    /// Says where it computes, where that was left to the program and there is something to compute on it.
    fn say_device(&self, report: &Report) {
        let opened = self.device.as_ref().filter(|_| self.flags.device == DeviceChoice::Auto);
        opened.inspect(|opened| report.say(format_args!("--device auto: computing on {}", opened.name)));
    }

    /// Says that an instruction is for nothing; of the embedded model that was said before.
    fn say_instruct(&self, model: &Model, report: &Report) {
        if self.flags.instruct.is_some() && self.is_slow() && !model.takes_instruction() {
            report.warn(format_args!("{} was trained without instructions; --instruct changes nothing", self.id()));
        }
    }

    /// Opens a model. Also gives the class of numbers that its results are in.
    fn open(&self, chosen: &Chosen, report: &Report) -> Result<(Model, String)> {
        let (Chosen::Files { located, dims, .. }, Some(opened)) = (chosen, &self.device) else {
            return Ok((Model::Embedder(Box::new(Builtin::new()?)), "f32 cpu".into()));
        };
        let Engine { dtype, batch_tokens, .. } = *self.flags;
        let options = Options { dtype, dims: *dims, batch_tokens };
        let Located { id, path, may_lack_pooling, .. } = located;
        let Loaded { model, class, notes } = crate::engine::open(id, path, opened, options)?;
        let hint = format!("; `mailsort models pull {id}` gets the file that says it, if there is one");
        let hint = if *may_lack_pooling { hint } else { String::new() };
        notes.iter().for_each(|note| report.warn(format_args!("{id}: {note}{hint}")));
        Ok((model, class))
    }

    /// The part of the cache that belongs to a model; the embedded one needs none.
    fn memory(&self, chosen: &Chosen, key: ModelKey) -> Option<Memory> {
        let cache = self.cache.clone().filter(|_| matches!(chosen, Chosen::Files { .. }));
        cache.map(|cache| Memory::new(cache, key))
    }
}

/// What tells a model from all others: of a local one that takes reading all of it.
fn key(chosen: &Chosen, dtype: String) -> Result<ModelKey> {
    Ok(match chosen {
        Chosen::Builtin => ModelKey { id: BUILTIN.into(), is_path: false, revision: Builtin::fingerprint(), dtype },
        Chosen::Files { located: Located { id, path, revision, .. }, .. } => {
            let is_path = revision.is_none();
            let revision = revision.clone().map_or_else(|| crate::engine::fingerprint(path), Ok)?;
            ModelKey { id: id.clone(), is_path, revision, dtype }
        }
    })
}
