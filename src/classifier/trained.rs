//! The file of a trained classifier: it says which model and reading the classifier needs, and a spec that says
//! otherwise is refused.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use encoding_rs::Encoding;
use sha2::{Digest, Sha256};

use super::linear::{Link, TrainedClassifier};
use super::loaded::{LoadedModel, Parts};
use super::model::{self, LoadedEmbedding, Plan};
use super::scoring::{Background, LearnedScorer, Scorer};
use super::spec::{ModelSpec, Observer};
use crate::engine::hub::DownloadProgress;
use crate::engine::remote::REVISION;
use crate::engine::{hub, is_embedded};
use crate::intake::Reading;
use crate::intake::clean::Switches;
use crate::labels::LabelSet;
use crate::platform;
use crate::record::is_same_label;

/// Most bytes of the file of a classifier: one of 10,000 labels has 15 MB.
const MAX_FILE: u64 = 1 << 30;

/// A trained classifier and where it was read.
pub(super) struct TrainedFile {
    path: PathBuf,
    classifier: Arc<TrainedClassifier>,
    /// The SHA-256 of the file.
    hash: String,
}

impl TrainedFile {
    /// Reads the file of a classifier.
    ///
    /// # Errors
    /// When it is not readable, or no classifier.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = platform::read_file_or_pipe(path, MAX_FILE).with_context(|| {
            format!("cannot read the classifier {shown} (a file that `mailsort train --output` has written)")
        })?;
        let classifier =
            TrainedClassifier::from_json(&bytes).with_context(|| format!("cannot use the classifier {shown}"))?;
        let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { path: path.to_path_buf(), classifier: Arc::new(classifier), hash })
    }

    /// Its labels as a set, named after the file. Thresholds and headers come from `files`: at most one label file,
    /// from which nothing else is read.
    ///
    /// # Errors
    /// When that file is not readable, says nothing of the kind, or names another label.
    pub(super) fn set(&self, files: &[PathBuf], encoding: Option<&'static Encoding>) -> Result<LabelSet> {
        let mut set = LabelSet::named(self.stem(), self.classifier.names().cloned());
        let [file] = files else {
            ensure!(files.is_empty(), "with --classifier one label file can say thresholds and headers, not several");
            return Ok(set);
        };
        let given = LabelSet::read(file, encoding)?;
        let file = file.display();
        set.threshold = given.threshold;
        for label in given.labels {
            let known = set.labels.iter_mut().find(|known| is_same_label(&known.name, &label.name));
            match known {
                Some(known) => (known.threshold, known.headers) = (label.threshold, label.headers),
                None => bail!("{file}: the classifier {} has no label {:?}", self.path.display(), label.name),
            }
        }
        ensure!(
            set.threshold.is_some()
                || set.labels.iter().any(|label| label.threshold.is_some() || label.headers.is_some()),
            "{file}: with --classifier only thresholds and headers are read from a label file, and there are none in it"
        );
        Ok(set)
    }

    /// Hashes of the texts that it was trained on.
    pub(super) fn texts(&self) -> HashSet<u64> {
        self.classifier.about.training.texts()
    }

    /// True when each label has a probability of its own.
    pub(super) fn is_multi_label(&self) -> bool {
        self.classifier.model.link == Link::Sigmoid
    }

    /// How documents were read when it was trained.
    ///
    /// # Errors
    /// When the flags ask for something else.
    pub(super) fn reading(&self, asked: &Reading) -> Result<Reading> {
        let about = &self.classifier.about;
        let needed =
            Reading { switches: switches(&about.cleaning)?, min_text: about.min_text, headers: asked.headers.clone() };
        let is_default = *asked == Reading { headers: asked.headers.clone(), ..Reading::default() };
        if is_default || *asked == needed {
            return Ok(needed);
        }
        let mut flags: Vec<String> =
            about.cleaning.iter().filter(|(_, on)| !**on).map(|(step, _)| format!("--keep-{step}")).collect();
        flags.push(format!("--min-text {}", about.min_text));
        bail!(
            "the classifier {} was trained on text that was cleaned in another way; leave the cleaning flags out, or give {}",
            self.path.display(),
            flags.join(" ")
        )
    }

    /// The model that it was trained on.
    ///
    /// # Errors
    /// When `given` says otherwise.
    pub(super) fn model_spec(&self, given: &ModelSpec) -> Result<ModelSpec> {
        let needs = &self.classifier.about.model;
        let shown = self.path.display();
        ensure!(given.shortlist.is_none(), "--shortlist is for rerankers; a classifier scores all labels at once");
        let is_embedded = is_embedded(&needs.id);
        let other = given.model.as_deref().filter(|model| is_embedded && *model != needs.id);
        ensure!(
            other.is_none(),
            "the classifier {shown} was trained on {}, not on {}; leave out --model",
            needs.id,
            other.unwrap_or_default()
        );
        ensure!(
            given.dims.is_none() || !is_embedded,
            "--dims has no meaning for the model {}, on which the classifier {shown} was trained",
            needs.id
        );
        ensure!(
            given.dims.is_none_or(|dims| dims == needs.dims),
            "--dims: the classifier {shown} needs the vectors of {} values of {}",
            needs.dims,
            needs.id
        );
        ensure!(
            given.max_tokens.is_none_or(|most| most == needs.max_tokens),
            "--max-tokens: the classifier {shown} was trained with {}",
            needs.max_tokens
        );
        let instruct = given.instruct.as_ref().is_none_or(|given| Some(given) == needs.instruct.as_ref());
        ensure!(
            instruct,
            "--instruct: the classifier {shown} was trained with {}",
            match &needs.instruct {
                Some(instruct) => format!("{instruct:?}"),
                None => "the model's own".into(),
            }
        );
        ensure!(
            given.query_prefix.is_none() || given.query_prefix == needs.query_prefix,
            "--query-prefix: the classifier {shown} was trained with another; leave it out"
        );
        let mut spec = given.clone();
        ensure!(
            given.endpoint.urls.is_empty() || !is_embedded,
            "the classifier {shown} was trained on {}, which lies in the program; leave out --endpoint",
            needs.id
        );
        if !given.endpoint.urls.is_empty() {
            // The server has the model, or another one, which is told when it is asked.
        } else if is_embedded {
            spec.model = Some(needs.id.clone());
        } else if spec.model.is_none() {
            spec.model = Some(self.model()?);
            spec.revision = needs.is_commit.then(|| needs.revision.clone());
        }
        // The dimensions that the training asked for, if it did: not every model has a choice.
        spec.dims = needs.asked_dims;
        spec.instruct = needs.instruct.clone();
        spec.query_prefix = needs.query_prefix.clone();
        spec.max_tokens = Some(needs.max_tokens);
        Ok(spec)
    }

    /// The model that the file names. A file is not trusted like a flag: a folder is never taken for a name of the hub,
    /// and an unknown repository is not downloaded.
    ///
    /// # Errors
    /// When it is not on this machine, and none of the well-known models.
    fn model(&self) -> Result<String> {
        let needs = &self.classifier.about.model;
        let (shown, name) = (self.path.display(), &needs.name);
        ensure!(
            needs.revision != REVISION,
            "the classifier {shown} was trained on the model {name:?} of a server; name the server with --endpoint"
        );
        if needs.is_commit {
            let is_here = || hub::find(name, Some(&needs.revision)).is_ok();
            ensure!(
                hub::known(name).is_some() || is_here(),
                "the classifier {shown} was trained on the model {name:?} at the commit {}, which is not on this machine; \
                 if you trust it, `mailsort models pull` with --revision gets it",
                needs.revision
            );
            return Ok(name.clone());
        }
        let beside = self.path.parent().map(|folder| folder.join(name));
        let found = [Some(PathBuf::from(name)), beside].into_iter().flatten().find(|path| path.exists());
        let found = found.with_context(|| {
            format!(
                "the classifier {shown} was trained on the model {name:?}, a folder or file that is neither here nor \
                 beside the classifier; say with --model where it is"
            )
        })?;
        found.into_os_string().into_string().ok().context("the path of the model is not UTF-8")
    }

    /// The plan for its model.
    ///
    /// # Errors
    /// As [`model::plan`], naming the classifier.
    pub(super) fn plan<'a>(
        &self,
        spec: &'a ModelSpec,
        observer: &dyn Observer,
        downloads: &dyn DownloadProgress,
    ) -> Result<Plan<'a>> {
        model::plan(spec, observer, downloads).with_context(|| {
            let needs = &self.classifier.about.model;
            format!("the classifier {} was trained on the model {:?}", self.path.display(), needs.name)
        })
    }

    /// Its name in records, on the model `id`.
    pub(super) fn model_name(&self, id: &str) -> String {
        format!("{id}+{}", self.stem())
    }

    fn stem(&self) -> String {
        self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Loads the model and checks that it is the right one.
    ///
    /// # Errors
    /// When it cannot be loaded, or is another model.
    pub(super) fn load(&self, plan: &Plan<'_>, observer: &dyn Observer) -> Result<(LoadedModel, Scorer)> {
        let Self { path, classifier, hash } = self;
        let needs = &classifier.about.model;
        let shown = path.display();
        ensure!(
            needs.background.as_ref().is_none_or(|needed| *needed == Background::fingerprint()),
            "the classifier {shown} was trained by a version of mailsort that takes other texts for the mean of a language; \
             train it again"
        );
        let LoadedEmbedding { embeddings, key } = plan.load_embedding(needs.background.is_some(), observer)?;
        ensure!(
            key.revision == needs.revision || !is_embedded(&key.id),
            "the classifier {shown} was trained on another edition of the model {}, which lies in the program; train it again",
            key.id
        );
        ensure!(
            key.revision == needs.revision,
            "the classifier {shown} was trained on {} (revision {}), and {} has the revision {}; name that model with \
             --model or train again",
            needs.id,
            needs.revision,
            key.id,
            key.revision
        );
        ensure!(
            key.id == needs.id || needs.revision != REVISION,
            "the classifier {shown} was trained on the model {:?} of a server, and this one has {:?}",
            needs.id,
            key.id
        );
        if key.dtype != needs.dtype {
            observer.warn(&format!(
                "the classifier {shown} was trained on vectors in {}, which are {} here; scores differ a little",
                needs.dtype, key.dtype
            ));
        }
        let identity = vec![key.weights(), hash.clone()];
        let parts = Parts::Vectors { embeddings: embeddings.clone(), decider: None };
        let scorer = Scorer::Learned(Box::new(LearnedScorer::new(embeddings, classifier.clone(), path)?));
        Ok((LoadedModel::new(plan.facts(), parts, identity, Some(key.weights())), scorer))
    }
}

/// The cleaning steps by name, as a file has them.
pub fn cleaning_steps(switches: Switches) -> BTreeMap<String, bool> {
    let Switches { quotes, forwards, signatures, disclaimers, footers, links, html } = switches;
    let steps = [
        ("quotes", quotes),
        ("forwards", forwards),
        ("signatures", signatures),
        ("disclaimers", disclaimers),
        ("footers", footers),
        ("links", links),
        ("html", html),
    ];
    steps.into_iter().map(|(name, on)| (name.to_string(), on)).collect()
}

/// # Errors
/// When a step is missing or unknown, as in the file of a later version.
fn switches(named: &BTreeMap<String, bool>) -> Result<Switches> {
    let on = |name: &str| {
        named.get(name).copied().with_context(|| format!("the classifier does not say whether {name} were cut"))
    };
    let switches = Switches {
        quotes: on("quotes")?,
        forwards: on("forwards")?,
        signatures: on("signatures")?,
        disclaimers: on("disclaimers")?,
        footers: on("footers")?,
        links: on("links")?,
        html: on("html")?,
    };
    let unknown = named.keys().find(|name| !cleaning_steps(switches).contains_key(*name));
    match unknown {
        Some(name) => bail!("the classifier needs the cleaning step {name:?}, which this version does not have"),
        None => Ok(switches),
    }
}
