//! The angles of rotary position embeddings (Su and others 2021, <https://arxiv.org/abs/2104.09864>).

use std::sync::{Arc, Mutex, PoisonError};

/// The angles of a model, computed as far as texts have been long. `Qwen3RotaryEmbedding` in transformers.
pub(crate) struct RotaryEmbedding {
    theta: f32,
    /// Numbers of one head.
    size: usize,
    angles: Mutex<Arc<Angles>>,
}

/// Cosines and sines. Shape: [positions, size / 2] each.
pub(crate) struct Angles {
    positions: usize,
    pub(crate) cos: Vec<f32>,
    pub(crate) sin: Vec<f32>,
}

impl RotaryEmbedding {
    /// For a base of frequencies and heads of `size`.
    pub(crate) fn new(theta: f32, size: usize) -> Self {
        Self { theta, size, angles: Mutex::new(Arc::new(Angles::new(theta, size, 0))) }
    }

    /// The angles of all these positions.
    pub(crate) fn angles(&self, positions: &[u32]) -> Arc<Angles> {
        let positions = positions.iter().max().map_or(0, |&last| last as usize + 1);
        let mut angles = self.angles.lock().unwrap_or_else(PoisonError::into_inner);
        if angles.positions < positions {
            // Twice as many as now, so that a run of ever longer messages computes each angle few times.
            let positions = positions.next_power_of_two().max(1024);
            *angles = Arc::new(Angles::new(self.theta, self.size, positions));
        }
        angles.clone()
    }
}

impl Angles {
    /// Rounded where transformers rounds: a frequency is one over a power, and an angle a product, each in f32.
    fn new(theta: f32, size: usize, positions: usize) -> Self {
        let frequency = |at: usize| 1.0 / f64::from(theta).powf(f64::from((2 * at) as f32 / size as f32)) as f32;
        let frequencies: Vec<f32> = (0..size / 2).map(frequency).collect();
        let angle = |position: usize| frequencies.iter().map(move |frequency| f64::from(position as f32 * frequency));
        let angles = || (0..positions).flat_map(angle);
        let (cos, sin) = (angles().map(|x| x.cos() as f32).collect(), angles().map(|x| x.sin() as f32).collect());
        Self { positions, cos, sin }
    }
}
