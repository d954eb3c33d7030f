//! `mailsort serve`: an HTTP API on a port or a Unix socket. The only room that knows axum, hyper and tokio.
//!
//! One thread runs the connections, the calling thread and the threads of the pool run the model: handlers put work
//! into the `queue`, and `work` takes it out in batches, across connections. Each route is a file of `routes/`.
//!
//! [`mcp`] is another server, for language models that call tools over standard input and output.

mod body;
mod connection;
mod documents;
mod failure;
mod feedback;
mod gate;
mod index;
mod labels;
mod listener;
pub mod mcp;
mod metrics;
mod queue;
mod routes;
mod samples;
mod state;
#[cfg(unix)]
mod unix;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rayon::ThreadPool;
use tokio::runtime;
use tokio::sync::watch;

use crate::classifier::{Classifier, LoadedModel, Selection};
use crate::knowledge::VectorModel;
use crate::report::Report;
use crate::stream::Stop;
use body::BodyLimits;
use connection::{InHand, Patience};
use gate::Gate;
use index::ServedIndex;
use listener::Bound;
use metrics::Metrics;
use queue::Queue;
use samples::Sampling;
use state::{Service, State};
use work::Worker;

pub use listener::{Address, DEFAULT_ADDRESS};
pub use samples::SamplingSpec;

/// Pairs that wait at most, for a model that needs microseconds for one, and for others.
const FAST_QUEUE: usize = 65_536;
const SLOW_QUEUE: usize = 4_096;
/// Threads of the connections. They parse and write JSON; the model has threads of its own.
const MOST_THREADS: usize = 4;

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServerSpec {
    /// Where to listen.
    pub address: Address,
    /// The index that is searched.
    pub index: Option<PathBuf>,
    /// The file of API keys, one a line.
    pub api_keys: Option<PathBuf>,
    /// Origins of other sites whose pages may ask; `*` for all.
    pub cors_origins: Vec<String>,
    /// A sample of records that is kept.
    pub samples: Option<SamplingSpec>,
    /// Whether `/metrics` needs no key.
    pub metrics_open: bool,
    /// Pairs that wait at most; `None` for a number that suits the model.
    pub queue: Option<usize>,
    /// Longest body in bytes.
    pub max_size: usize,
    /// How long a client may take to send a request, and to read a part of the answer.
    pub patience: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long what has come in is worked on after a signal.
    pub drain: Duration,
}

/// What is served.
pub struct Served {
    /// The spec without labels: how documents are read and ranked.
    pub selection: Selection,
    /// The model.
    pub loaded: Arc<LoadedModel>,
    /// For documents of requests without labels.
    pub classifier: Option<Classifier>,
    /// The model as an index knows it, where it gives vectors and there is an index.
    pub of_vectors: Option<VectorModel>,
}

impl Served {
    /// The name of the model in records.
    pub fn name(&self) -> &str {
        self.classifier.as_ref().map_or(self.loaded.id(), Classifier::model)
    }
}

/// Largest file of API keys.
const MOST_KEYS: u64 = 1 << 20;

/// Serves until a signal comes. It listens before `load` is called; clients wait meanwhile. `ready` is called when the
/// model is loaded, with the address.
///
/// # Errors
/// When the address cannot be had or needs a key, `load` fails, or the model cannot run any more.
pub fn run(
    spec: &ServerSpec,
    pool: &ThreadPool,
    report: &Arc<Report>,
    load: impl FnOnce() -> Result<Served>,
    ready: impl FnOnce(&str, &Served),
) -> Result<()> {
    let bound = Bound::open(&spec.address)?;
    let gate = gate(spec, &bound)?;
    let samples = spec.samples.as_ref().map(Sampling::open).transpose()?;
    let index = spec.index.as_deref().map(ServedIndex::open).transpose()?.map(Arc::new);
    let (queue, jobs) = Queue::new(spec.queue.unwrap_or(SLOW_QUEUE));
    let load_of_queue = queue.load().clone();
    let metrics = Arc::new(Metrics::new());
    let (serves, served) = watch::channel(None);
    let (stops, stopping) = watch::channel(false);
    let stop = Stop::listen()?;
    let stops = Arc::new(stops);
    let signalled = stops.clone();
    let _announced = stop.announce(Duration::ZERO, move || {
        signalled.send_replace(true);
    });
    let state = State {
        queue,
        gate,
        bodies: BodyLimits::new(spec.max_size, spec.patience),
        timeout: spec.timeout,
        metrics: metrics.clone(),
        report: report.clone(),
        served,
        stopping: stopping.clone(),
        in_hand: InHand::default(),
        classifiers: Default::default(),
        verdicts: Default::default(),
        samples,
        index: index.clone(),
    };
    let patience = Patience { client: spec.patience, drain: spec.drain };
    thread::scope(|scope| {
        let (shown, bound, stopping) = (bound.shown(), &bound, &stopping);
        let cors = spec.cors_origins.clone();
        let serving = scope.spawn(move || connections(bound, Arc::new(state), &cors, patience, stopping.clone()));
        // However the model ends, the connections end too.
        let ending = AtEnd(|| {
            stops.send_replace(true);
        });
        let worked = load().and_then(|loaded| {
            load_of_queue.bound(spec.queue.unwrap_or(if loaded.loaded.budget().is_slow() {
                SLOW_QUEUE
            } else {
                FAST_QUEUE
            }));
            metrics.serves(loaded.loaded.id());
            if let Some(lack) = index.as_ref().and_then(|index| index.lack(&loaded).transpose()) {
                report.warn(lack?);
            }
            ready(&shown, &loaded);
            let worker = Worker { loaded: loaded.loaded.clone(), pool, metrics: &metrics, report };
            let service = Service::new(loaded);
            serves.send_replace(Some(Arc::new(service)));
            worker.run(jobs)
        });
        drop(serves);
        drop(ending);
        let lost = serving.join().map_err(|_| anyhow!("the thread of the connections has died"))??;
        if lost > 0 {
            report.warn(format_args!("{lost} requests were not answered before the end (--drain)"));
        }
        worked
    })
}

/// Does something when it is dropped, be it by a panic.
struct AtEnd<F: Fn()>(F);

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// # Errors
/// When the file of keys cannot be used, or others can connect and there is no key.
fn gate(spec: &ServerSpec, bound: &Bound) -> Result<Gate> {
    ensure!(
        bound.is_private() || spec.api_keys.is_some(),
        "{} can be reached from other machines, which needs a key: give --api-key-file FILE with a key a line (`openssl \
         rand -hex 32` makes one), or listen on {DEFAULT_ADDRESS}",
        bound.shown()
    );
    let is_local = bound.is_private() && bound.is_port();
    let new = |keys: Option<&str>| Gate::new(keys, is_local, spec.cors_origins.clone(), spec.metrics_open);
    let Some(path) = &spec.api_keys else { return new(None) };
    let shown = path.display();
    let bytes = crate::platform::read_file_or_pipe(path, MOST_KEYS);
    let bytes = bytes.with_context(|| format!("cannot read the file of API keys {shown}"))?;
    let text = String::from_utf8(bytes).with_context(|| format!("the file of API keys {shown} is no text"))?;
    new(Some(&text)).with_context(|| format!("the file of API keys {shown}"))
}

/// Runs the connections on a runtime of their own. Returns how many requests got no answer.
fn connections(
    bound: &Bound,
    state: Arc<State>,
    cors_origins: &[String],
    patience: Patience,
    stopping: watch::Receiver<bool>,
) -> Result<usize> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("mailsort-http")
        .enable_io()
        .enable_time()
        .build()
        .context("cannot start the threads of the connections")?;
    let in_hand = state.in_hand.clone();
    let router = routes::router(state, cors_origins)?;
    let lost = runtime.block_on(async {
        let listener = bound.start()?;
        Ok::<_, anyhow::Error>(connection::serve(listener, router, in_hand, patience, stopping).await)
    });
    // Tasks that are left hold the queue, and end here.
    runtime.shutdown_background();
    lost
}
