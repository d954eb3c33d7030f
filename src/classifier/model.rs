//! From a spec to a loaded model: first the checks that need no weights, then the weights.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use super::cache::{Cache, ModelKey};
use super::endpoint;
use super::loaded::{LoadedModel, ModelFacts, Parts};
use super::scoring::{Background, Embeddings, Memory, PairModel};
use super::spec::{Budget, DeepReads, ModelSpec, Observer};
use crate::engine::device::{self, DeviceChoice};
use crate::engine::hub::{self, DownloadProgress, HubOptions, Located};
use crate::engine::remote::{self, Endpoint};
use crate::engine::{
    BUILTIN, Builtin, DEEP, Deep, Dtype, Embedder, LoadOptions, Loaded, Model, Nli, Sketch, is_embedded,
};
use crate::record::Decider;

/// A model that makes vectors of texts, for training.
pub struct LoadedEmbedding {
    /// The model.
    pub embeddings: Arc<Embeddings>,
    /// Its key in caches and classifier files.
    pub key: ModelKey,
}

/// The models that a spec asks for, none of them loaded.
pub struct Plan<'a> {
    spec: &'a ModelSpec,
    cache: Option<Arc<Cache>>,
    /// `None` where only the built-in model is used.
    device: Option<device::OpenedDevice>,
    main: Chosen,
    /// The model that makes the shortlist.
    faster: Option<Chosen>,
}

/// A model that is on this machine and can do its part.
enum Chosen {
    Builtin,
    Deep,
    Files {
        located: Located,
        sketch: Sketch,
        dims: Option<usize>,
    },
    /// On a server.
    Remote {
        endpoint: Endpoint,
        dims: Option<usize>,
    },
}

/// What a model is chosen for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Its scores are printed.
    Scores,
    /// It chooses which labels are scored.
    Shortlist,
}

/// Finds the models, downloads what is missing, and checks all that can be checked without loading weights.
///
/// # Errors
/// When a model cannot be had or is not supported, the spec contradicts it or itself, or the device or the cache cannot
/// be used.
pub(super) fn plan<'a>(
    spec: &'a ModelSpec,
    observer: &dyn Observer,
    downloads: &dyn DownloadProgress,
) -> Result<Plan<'a>> {
    let name = spec.model.as_deref().unwrap_or(BUILTIN);
    let faster = spec.shortlist.map(|_| spec.shortlist_model.as_str());
    let is_remote = !spec.endpoint.urls.is_empty();
    let own = [(name, Part::Scores)].into_iter().filter(move |_| !is_remote);
    let parts = || own.clone().chain(faster.map(|name| (name, Part::Shortlist)));
    for (name, part) in parts() {
        if is_embedded(name) {
            check_embedded(name, spec, part, observer)?;
            continue;
        }
        hub::check(name, &options(spec, part))?;
        if let Some(known) = hub::known(name) {
            // Before gigabytes of it are fetched.
            let sketch =
                Sketch { embeds: known.dims.is_some(), infers: false, most_dims: known.dims, runs_on_gpu: true };
            check(spec, part, name, &sketch)?;
        }
    }
    ensure!(
        spec.deep == DeepReads::Unsure || name == DEEP,
        "--deep all is for the model {DEEP}, and this one is {name}; leave it out, or name --model {DEEP}"
    );
    let is_file = parts().any(|(name, _)| !is_embedded(name));
    // A missing GPU that was asked for is an error before anything is downloaded.
    let is_asked = matches!(spec.device, DeviceChoice::Cuda(_));
    let asked = (is_file && is_asked).then(|| device::open(spec.device)).transpose()?;
    let choose = |name: &str, part| -> Result<Chosen> {
        if is_embedded(name) {
            return Ok(if name == DEEP { Chosen::Deep } else { Chosen::Builtin });
        }
        let located = hub::locate(name, &options(spec, part), downloads)?;
        let sketch = Sketch::of(&located.path)?;
        check(spec, part, &located.id, &sketch)?;
        Ok(Chosen::Files { located, sketch, dims: dims(spec, part) })
    };
    // The smaller model first, as it may be refused.
    let faster = faster.map(|name| choose(name, Part::Shortlist)).transpose()?;
    let main = match is_remote {
        true => Chosen::Remote { endpoint: endpoint::ask(spec, observer)?, dims: dims(spec, Part::Scores) },
        false => choose(name, Part::Scores)?,
    };
    let is_for_gpu = [Some(&main), faster.as_ref()].into_iter().flatten().any(Chosen::runs_on_gpu);
    ensure!(
        is_for_gpu || asked.is_none(),
        "--device {}: {name} runs on the CPU, as all encoders do; leave out --device",
        spec.device
    );
    if !is_for_gpu && !is_embedded(name) {
        check_encoders(spec, name)?;
    }
    let choice = if is_for_gpu { spec.device } else { DeviceChoice::Cpu };
    let device = if is_file { Some(asked.map_or_else(|| device::open(choice), Ok)?) } else { None };
    let cache = spec.cache.as_deref().filter(|_| is_remote || !is_embedded(name)).map(Cache::open).transpose()?;
    Ok(Plan { spec, cache: cache.map(Arc::new), device, main, faster })
}

/// `revision` is that of the model that scores.
fn options(spec: &ModelSpec, part: Part) -> HubOptions {
    let options = spec.hub_options();
    if part == Part::Scores { options } else { HubOptions { revision: None, ..options } }
}

impl Chosen {
    fn runs_on_gpu(&self) -> bool {
        matches!(self, Self::Files { sketch: Sketch { runs_on_gpu: true, .. }, .. })
    }

    fn dims(&self) -> Option<usize> {
        match self {
            Self::Builtin | Self::Deep => None,
            Self::Files { dims, .. } | Self::Remote { dims, .. } => *dims,
        }
    }

    /// True for an embedding whose vectors are centred here.
    fn is_centred(&self) -> bool {
        match self {
            Self::Builtin | Self::Deep => false,
            Self::Files { sketch, .. } => sketch.embeds,
            Self::Remote { endpoint, .. } => endpoint.embeds(),
        }
    }
}

/// In a cascade `dims` are those of the shortlist model.
fn dims(spec: &ModelSpec, part: Part) -> Option<usize> {
    let compares = if spec.shortlist.is_some() { Part::Shortlist } else { Part::Scores };
    spec.dims.filter(|_| part == compares)
}

/// # Errors
/// When the model cannot do what the flags ask of it.
fn check(spec: &ModelSpec, part: Part, id: &str, sketch: &Sketch) -> Result<()> {
    match part {
        Part::Scores => {
            ensure!(
                spec.shortlist.is_none() || !sketch.embeds,
                "--shortlist is for rerankers; {id} scores all labels at once"
            );
            ensure!(
                spec.label_prompts || sketch.embeds || spec.shortlist.is_some(),
                "--label-prompts is for embeddings; {id} reads a label with the message"
            );
            ensure!(
                spec.query_prefix.is_none() || sketch.embeds && !sketch.runs_on_gpu,
                "--query-prefix is for encoders that were trained with one, such as e5; {id} is none"
            );
            for flag in inference(spec) {
                ensure!(
                    sketch.infers,
                    "{flag} is for NLI models, which tell entailment from contradiction; {id} is none"
                );
            }
        }
        Part::Shortlist => {
            ensure!(sketch.embeds, "--shortlist-model {id} is a reranker; an embedding can choose labels");
        }
    }
    sketch.check_dims(id, dims(spec, part))
}

/// The flags for NLI models that are given.
fn inference(spec: &ModelSpec) -> impl Iterator<Item = &'static str> {
    let given = [("--nli", spec.nli.is_some()), ("--hypothesis", spec.hypothesis.is_some())];
    given.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag)
}

/// Refuses options that encoders do not have, unless another model of the run has them.
fn check_encoders(spec: &ModelSpec, id: &str) -> Result<()> {
    ensure!(
        spec.batch_tokens.is_none(),
        "--batch-tokens has no meaning for {id}, an encoder; leave out --batch-tokens"
    );
    Ok(())
}

/// Refuses options that the models in the program do not have, and warns of those that they ignore.
fn check_embedded(name: &str, spec: &ModelSpec, part: Part, observer: &dyn Observer) -> Result<()> {
    let model = if name == BUILTIN { "the built-in model" } else { "the model deep" };
    if part == Part::Shortlist {
        ensure!(
            spec.dims.is_none(),
            "--dims is for embeddings; {model}, which makes the shortlist, was not trained for it"
        );
        return Ok(());
    }
    ensure!(spec.shortlist.is_none(), "--shortlist is for rerankers; {name} scores all labels at once");
    if let Some(flag) = inference(spec).next() {
        bail!("{flag} has no meaning for {model}; name an NLI model with --model");
    }
    let gpu = matches!(spec.device, DeviceChoice::Cuda(_));
    let given = [
        ("--dims", spec.dims.is_some()),
        ("--label-prompts off", !spec.label_prompts),
        ("--query-prefix", spec.query_prefix.is_some()),
        ("--device", gpu),
        ("--dtype", spec.dtype != Dtype::Auto),
        ("--batch-tokens", spec.batch_tokens.is_some()),
    ];
    for (flag, given) in given {
        ensure!(!given, "{flag} has no meaning for {model}; name another with --model");
    }
    if spec.instruct.is_some() {
        observer.warn(&format!("{model} takes no instruction, and ignores --instruct"));
    }
    if spec.cache.is_some() {
        observer.warn(&format!("{model} uses no cache; --cache is for other models"));
    }
    Ok(())
}

impl Plan<'_> {
    /// The name of the model that scores.
    pub fn id(&self) -> &str {
        match &self.main {
            Chosen::Builtin => BUILTIN,
            Chosen::Deep => DEEP,
            Chosen::Files { located, .. } => &located.id,
            Chosen::Remote { endpoint, .. } => endpoint.model(),
        }
    }

    /// True for a reranker, which scores pairs of message and label.
    pub fn is_of_pairs(&self) -> bool {
        match &self.main {
            Chosen::Files { sketch, .. } => !sketch.embeds,
            Chosen::Remote { endpoint, .. } => !endpoint.embeds(),
            Chosen::Builtin | Chosen::Deep => false,
        }
    }

    /// True where the scores of pairs are shares of 1 over a label set.
    pub fn shares_over_labels(&self) -> bool {
        let infers = matches!(self.main, Chosen::Files { sketch: Sketch { infers: true, .. }, .. });
        infers && self.spec.nli.unwrap_or_default() == Nli::Single
    }

    /// True where some scores come from one model and some from two, which have cosines of their own.
    pub(super) fn is_cascade(&self) -> bool {
        matches!(self.main, Chosen::Deep) && self.spec.deep == DeepReads::Unsure
    }

    /// True where a message takes milliseconds or more.
    pub fn is_slow(&self) -> bool {
        !matches!(self.main, Chosen::Builtin)
    }

    /// True for the models in the program, beside whose vectors words are worth learning from.
    pub fn reads_words(&self) -> bool {
        matches!(self.main, Chosen::Builtin | Chosen::Deep)
    }

    /// How much is scored between two looks at whether to stop.
    pub fn budget(&self) -> Budget {
        match self.main {
            Chosen::Builtin => Budget::FAST,
            Chosen::Deep => Budget::SLOW,
            Chosen::Remote { .. } => Budget::REMOTE,
            _ if self.is_on_gpu(&self.main) => Budget::GPU,
            _ => Budget::SLOW,
        }
    }

    /// True where a text always gets the same bits. On a GPU the order of summation depends on the batch.
    pub fn is_exact(&self) -> bool {
        !self.chosen().any(|chosen| self.is_on_gpu(chosen) || matches!(chosen, Chosen::Remote { .. }))
    }

    fn chosen(&self) -> impl Iterator<Item = &Chosen> {
        [Some(&self.main), self.faster.as_ref()].into_iter().flatten()
    }

    fn is_on_gpu(&self, chosen: &Chosen) -> bool {
        chosen.runs_on_gpu() && self.device.as_ref().is_some_and(device::OpenedDevice::is_gpu)
    }

    /// Loads the models. `identified` asks for what [`super::Classifier::identity`] tells.
    ///
    /// # Errors
    /// When a model is damaged or does not fit into the memory.
    pub fn load(&self, identified: bool, observer: &dyn Observer) -> Result<LoadedModel> {
        let spec = self.spec;
        self.say_device(observer);
        // Those of the main model, which is opened first.
        let mut weights = None;
        let mut seen = Vec::new();
        let mut open = |chosen: &Chosen| -> Result<(Model, Option<Memory>)> {
            let (model, class) = self.open(chosen, observer)?;
            let key = if identified || self.cache.is_some() { Some(key(chosen, class)?) } else { None };
            weights = weights.take().or_else(|| key.as_ref().map(ModelKey::weights));
            seen.extend(key.as_ref().map(|key| format!("{} {:?}", key.weights(), chosen.dims())));
            Ok((model, key.and_then(|key| self.memory(chosen, key))))
        };
        let (model, memory) = open(&self.main)?;
        self.say_instruct(&model, observer);
        let is_deep = matches!(self.main, Chosen::Deep);
        let parts = match model {
            Model::Embedder(engine) if is_deep => {
                let deep = Arc::new(Embeddings::new(engine, spec.max_tokens, None));
                match spec.deep {
                    DeepReads::Unsure => {
                        let builtin = Arc::new(Embeddings::new(Box::new(Builtin::new()?), None, None));
                        Parts::Deep { builtin, deep }
                    }
                    DeepReads::All => Parts::Vectors { embeddings: deep, decider: Some(Decider::Deep) },
                }
            }
            Model::Embedder(engine) => {
                let embeddings = Arc::new(self.embeddings(&self.main, engine, spec.max_tokens, memory)?);
                Parts::Vectors { embeddings, decider: None }
            }
            Model::Reranker(engine) => {
                let shortlist = match (&self.faster, spec.shortlist) {
                    (Some(faster), Some(most)) => match open(faster)? {
                        (Model::Embedder(engine), memory) => {
                            Some((Arc::new(self.embeddings(faster, engine, None, memory)?), most))
                        }
                        (Model::Reranker(_), _) => bail!("a reranker cannot choose labels"),
                    },
                    _ => None,
                };
                Parts::Pairs(PairModel::new(engine, spec.max_tokens, shortlist, memory))
            }
        };
        let ModelSpec { instruct, shortlist, max_tokens, deep, label_prompts, .. } = spec;
        seen.push(format!("instruct {instruct:?} shortlist {shortlist:?} max_tokens {max_tokens:?}"));
        seen.extend((!label_prompts).then(|| "no label prompts".to_string()));
        let is_centred = self.chosen().any(Chosen::is_centred);
        seen.extend(is_centred.then(|| format!("background {}", Background::fingerprint())));
        seen.extend(is_deep.then(|| format!("deep {deep:?}")));
        let (identity, weights) = if identified { (seen, weights) } else { (Vec::new(), None) };
        Ok(LoadedModel::new(self.facts(), parts, identity, weights))
    }

    /// What is known of the model without its weights.
    pub(super) fn facts(&self) -> ModelFacts {
        let most_dims = match &self.main {
            Chosen::Builtin | Chosen::Deep | Chosen::Remote { .. } => None,
            Chosen::Files { sketch, dims, .. } => sketch.most_dims.map(|most| dims.unwrap_or(most)),
        };
        ModelFacts {
            id: self.id().to_string(),
            instruct: self.spec.instruct.clone(),
            budget: self.budget(),
            is_remote: matches!(self.main, Chosen::Remote { .. }),
            is_independent: self.is_of_pairs() && !self.shares_over_labels(),
            most_dims,
        }
    }

    /// An embedder with its cache, whose vectors are centred here or by itself.
    fn embeddings(
        &self,
        chosen: &Chosen,
        engine: Box<dyn Embedder>,
        max_tokens: Option<usize>,
        memory: Option<Memory>,
    ) -> Result<Embeddings> {
        let embeddings = Embeddings::new(engine, max_tokens, memory);
        match chosen {
            Chosen::Builtin | Chosen::Deep => Ok(embeddings),
            Chosen::Files { .. } | Chosen::Remote { .. } => embeddings.centred(self.spec.label_prompts),
        }
    }

    /// Loads the model as an embedder. `centred` is false for the vectors of a checkpoint as earlier versions had them.
    ///
    /// # Errors
    /// When it is a reranker, is damaged or does not fit into the memory.
    pub fn load_embedding(&self, centred: bool, observer: &dyn Observer) -> Result<LoadedEmbedding> {
        ensure!(
            !self.is_of_pairs(),
            "{} is a reranker, and a classifier is learned from vectors: name an embedding, or take the reranker's records \
             as samples",
            self.id()
        );
        self.say_device(observer);
        let (model, class) = self.open(&self.main, observer)?;
        self.say_instruct(&model, observer);
        let Model::Embedder(engine) = model else {
            bail!("{} gives no vectors", self.id());
        };
        let key = key(&self.main, class)?;
        let memory = self.memory(&self.main, key.clone());
        let embeddings = match centred {
            true => self.embeddings(&self.main, engine, self.spec.max_tokens, memory)?,
            false => Embeddings::new(engine, self.spec.max_tokens, memory),
        };
        Ok(LoadedEmbedding { embeddings: Arc::new(embeddings), key })
    }

    /// Tells the device that `auto` has chosen.
    fn say_device(&self, observer: &dyn Observer) {
        let opened = self.device.as_ref().filter(|_| self.spec.device == DeviceChoice::Auto);
        opened.inspect(|opened| observer.say(&format!("--device auto: computing on {}", opened.name)));
    }

    /// Warns of an instruction that the model ignores. The built-in model has its own warning.
    fn say_instruct(&self, model: &Model, observer: &dyn Observer) {
        if self.spec.instruct.is_some() && !self.reads_words() && !model.takes_instruction() {
            observer.warn(&format!("{} was trained without instructions; --instruct changes nothing", self.id()));
        }
    }

    /// Loads a model. Also returns the class of arithmetic, such as `bf16 cpu`, on which its results depend.
    fn open(&self, chosen: &Chosen, observer: &dyn Observer) -> Result<(Model, String)> {
        if matches!(chosen, Chosen::Deep) {
            return Ok((Model::Embedder(Box::new(Deep::new()?)), Deep::class()));
        }
        if let Chosen::Remote { endpoint, dims } = chosen {
            let prefix = self.spec.query_prefix.clone();
            let class = match &prefix {
                Some(prefix) => format!("{} prefix {prefix:?}", endpoint.class()),
                None => endpoint.class(),
            };
            return Ok((endpoint.open_model(*dims, prefix), class));
        }
        let (Chosen::Files { located, dims, .. }, Some(opened)) = (chosen, &self.device) else {
            return Ok((Model::Embedder(Box::new(Builtin::new()?)), "f32 cpu".into()));
        };
        let ModelSpec { dtype, batch_tokens, nli, hypothesis, .. } = self.spec.clone();
        let (nli, hypothesis) = (nli.unwrap_or_default(), hypothesis.unwrap_or_default());
        let query_prefix = self.spec.query_prefix.clone();
        let options = LoadOptions { dtype, dims: *dims, batch_tokens, query_prefix, nli, hypothesis };
        let Located { id, path, may_lack_pooling, .. } = located;
        let Loaded { model, class, notes } = crate::engine::open(id, path, opened, options)?;
        let hint = format!("; `mailsort models pull {id}` gets the file that says it, if there is one");
        let hint = if *may_lack_pooling { hint } else { String::new() };
        notes.iter().for_each(|note| observer.warn(&format!("{id}: {note}{hint}")));
        Ok((model, class))
    }

    /// The cache entries of a model; those in the program have none.
    fn memory(&self, chosen: &Chosen, key: ModelKey) -> Option<Memory> {
        let cache = self.cache.clone().filter(|_| matches!(chosen, Chosen::Files { .. } | Chosen::Remote { .. }));
        cache.map(|cache| Memory::new(cache, key))
    }
}

/// The key of a model. That of a local model is a hash over all of its bytes.
fn key(chosen: &Chosen, dtype: String) -> Result<ModelKey> {
    Ok(match chosen {
        Chosen::Builtin => ModelKey { id: BUILTIN.into(), is_path: false, revision: Builtin::fingerprint(), dtype },
        Chosen::Deep => ModelKey { id: DEEP.into(), is_path: false, revision: Deep::fingerprint()?, dtype },
        Chosen::Remote { endpoint, .. } => {
            ModelKey { id: endpoint.model().into(), is_path: false, revision: remote::REVISION.into(), dtype }
        }
        Chosen::Files { located: Located { id, path, revision, .. }, .. } => {
            let is_path = revision.is_none();
            let revision = revision.clone().map_or_else(|| crate::engine::fingerprint(path), Ok)?;
            ModelKey { id: id.clone(), is_path, revision, dtype }
        }
    })
}
