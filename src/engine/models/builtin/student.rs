//! Token vectors to one text vector, in two halves that see different things.
//!
//! The first half is the plain sum of token vectors: good at what a text is about. The second adds what a sum cannot
//! see, by two small layers, and is better at what somebody wants. The window looks at each token with its two
//! neighbours: it weighs the token (a gate), and its hidden units, summed over the text, say which words stood next to
//! which. The head looks at the text as a whole. `model/README.md` has the formula and `model/make/student.py` the same
//! in Python; the names are the same.

use pulp::{Arch, NullaryFnOnce};

use super::matrix::{add, dot};
use super::weights::Weights;

/// Keeps a division by the length of a vector from being one by zero, as in the reference.
const TINY: f32 = 1e-9;

/// The normalised vector of a text. Shape: [2 dims]. `None` when its tokens cancel out or there are none.
pub(super) fn embed(weights: &Weights, ids: &[u32], arch: Arch) -> Option<Vec<f32>> {
    if ids.is_empty() {
        return None;
    }
    arch.dispatch(Forward { weights, ids })
}

/// The forward pass as a value, so that it is compiled for each generation of CPUs and one is picked at run time.
///
/// The loops of this file and of `matrix.rs` are written with `for`: what `for_each`, `map` and `sum` call may be
/// compiled elsewhere, for the oldest CPU.
struct Forward<'a> {
    weights: &'a Weights,
    ids: &'a [u32],
}

impl NullaryFnOnce for Forward<'_> {
    type Output = Option<Vec<f32>>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Pooled { mut sum, text, window } = pool(self.weights, self.ids);
        let mut context = head(self.weights, text, window)?;
        normalise(&mut sum, self.weights.mix_sum)?;
        normalise(&mut context, self.weights.mix_context)?;
        sum.append(&mut context);
        Some(sum)
    }
}

/// A text's tokens, added up.
struct Pooled {
    /// The plain sum. Shape: [dims].
    sum: Vec<f32>,
    /// The sum with each token weighed by its gate, and what the windows add to it. Shape: [dims].
    text: Vec<f32>,
    /// The hidden units of the windows. Shape: [hidden].
    window: Vec<f32>,
}

#[inline(always)]
fn pool(weights: &Weights, ids: &[u32]) -> Pooled {
    let tokens = token_vectors(weights, ids);
    let near = weights.project.outputs();
    // One row of zeros before the first token and one behind the last, so that row i is the left neighbour of token i.
    let mut projected = vec![0.0; (ids.len() + 2) * near];
    weights.project.add_products(&tokens, weights.dims, &mut projected[near..(ids.len() + 1) * near]);
    let mut hidden = weights.window_bias.repeat(ids.len());
    weights.window.add_products(&projected, near, &mut hidden);
    relu(&mut hidden);

    let mut sum = vec![0.0; weights.dims];
    let mut text = vec![0.0; weights.dims];
    let mut window = vec![0.0; weights.window.outputs()];
    for (token, hidden) in tokens.chunks_exact(weights.dims).zip(hidden.chunks_exact(window.len())) {
        let gate = 1.0 + dot(hidden, weights.gate).tanh();
        add(&mut sum, 1.0, token);
        add(&mut text, gate, token);
        add(&mut window, 1.0, hidden);
    }
    // Linear, so that it is enough to apply it to the sum.
    weights.window_out.add_product_by_rows(&window, &mut text);
    Pooled { sum, text, window }
}

/// The token vectors as numbers. Shape: [tokens, dims].
#[inline(always)]
fn token_vectors(weights: &Weights, ids: &[u32]) -> Vec<f32> {
    let mut tokens = vec![0.0; ids.len() * weights.dims];
    for (token, &id) in tokens.chunks_exact_mut(weights.dims).zip(ids) {
        let (vector, scale) = weights.vector(id);
        for (value, &quantised) in token.iter_mut().zip(vector) {
            *value = scale * f32::from(quantised);
        }
    }
    tokens
}

/// Adds what the text as a whole says. Shape: [dims].
#[inline(always)]
fn head(weights: &Weights, mut text: Vec<f32>, window: Vec<f32>) -> Option<Vec<f32>> {
    let length = dot(&text, &text).sqrt() + TINY;
    if !length.is_finite() {
        return None;
    }
    let mut input = [text.as_slice(), &window].concat();
    for value in &mut input {
        *value /= length;
    }
    text.copy_from_slice(&input[..weights.dims]);
    let mut hidden = weights.head_bias.to_vec();
    weights.head.add_product_by_rows(&input, &mut hidden);
    relu(&mut hidden);
    weights.head_out.add_product_by_rows(&hidden, &mut text);
    Some(text)
}

/// Scales a vector to `length`; `None` when it has none.
#[inline(always)]
fn normalise(vector: &mut [f32], length: f32) -> Option<()> {
    let found = dot(vector, vector).sqrt();
    if !(found.is_finite() && found > TINY) {
        return None;
    }
    for value in vector {
        *value *= length / found;
    }
    Some(())
}

#[inline(always)]
fn relu(units: &mut [f32]) {
    for unit in units {
        *unit = unit.max(0.0);
    }
}
