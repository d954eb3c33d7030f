//! Heads of cross-encoders: the logits of the classes from the last hidden states, in f32 whatever the encoder computes
//! with.

use anyhow::Result;

use crate::engine::checkpoint::Weights;
use crate::engine::kernels;
use crate::engine::kernels::products::Packed;

/// The logits of the classes of a pair from its last hidden states, shape [tokens, hidden_size].
pub(crate) type Head = Box<dyn Fn(&[f32]) -> Result<Vec<f32>> + Send + Sync>;

/// What most encoders have: a layer, its activation and a product with one output for each class, all of the first
/// token. `names` are those of layer and product.
///
/// # Errors
/// When a weight is missing or of another shape.
pub(crate) fn of_first_token(
    weights: &Weights,
    names: [&str; 2],
    [hidden, classes]: [usize; 2],
    activation: fn(&mut [f32]),
) -> Result<Head> {
    let dense = Affine::load(weights, names[0], [hidden, hidden])?;
    let classifier = Affine::load(weights, names[1], [classes, hidden])?;
    Ok(Box::new(move |states| {
        let mut pooled = dense.forward(&states[..hidden]); // [hidden]
        activation(&mut pooled);
        Ok(classifier.forward(&pooled)) // [classes]
    }))
}

/// A product and a bias of one row.
pub(crate) struct Affine {
    weight: Packed,
    /// Shape: [outputs].
    bias: Vec<f32>,
}

impl Affine {
    /// Takes weight and bias.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub(crate) fn load(weights: &Weights, name: &str, shape: [usize; 2]) -> Result<Self> {
        let bias = weights.take(&format!("{name}.bias"), &shape[..1])?.values()?;
        Ok(Self { bias, ..Self::without_bias(weights, name, shape)? })
    }

    /// Takes the weight of a layer that has no bias.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    pub(crate) fn without_bias(weights: &Weights, name: &str, shape: [usize; 2]) -> Result<Self> {
        let [outputs, inputs] = shape;
        let weight = weights.take(&format!("{name}.weight"), &shape)?.values()?;
        Ok(Self { weight: Packed::f32(&weight, outputs, inputs), bias: vec![0.0; outputs] })
    }

    /// [inputs] -> [outputs]
    pub(crate) fn forward(&self, row: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.bias.len()];
        self.weight.product(row, &mut out);
        kernels::add_bias(&mut out, &self.bias);
        out
    }
}
