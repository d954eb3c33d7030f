//! Vectors in four bits a dimension in the file and in eight in memory, and the exact search among them.

use rayon::prelude::*;

/// Bytes of the scale in front of a stored vector.
const SCALE: usize = 4;

/// Vectors that one task compares.
const BATCH: usize = 2048;

/// What four bits stand for: the levels by which normally distributed numbers lose least (J. Max, "Quantizing for Minimum
/// Distortion", 1960, for 16 levels), in eight bits. The cosine of a vector with what is stored of it is about 0.99.
const LEVELS: [i8; 16] = [-127, -96, -75, -58, -44, -31, -18, -6, 6, 18, 31, 44, 58, 75, 96, 127];

/// The outermost level, in standard deviations.
const OUTERMOST: f32 = 2.733;

/// Widths of the levels that are tried, as few vectors are quite normally distributed.
const WIDTHS: [f32; 5] = [0.85, 0.92, 1.0, 1.08, 1.16];

/// A vector as it is stored: what a level is worth, then four bits for each dimension, the lower ones first.
pub(super) fn pack(vector: &[f32]) -> Vec<u8> {
    let square = vector.iter().map(|value| value * value).sum::<f32>();
    let deviation = (square / vector.len().max(1) as f32).sqrt();
    let is_direction = square.is_finite() && deviation > 0.0;
    let tried = WIDTHS.iter().filter(|_| is_direction).map(|width| {
        let unit = width * deviation * OUTERMOST / 127.0;
        let places: Vec<u8> = vector.iter().map(|value| place(value / unit)).collect();
        let levels = || places.iter().map(|&place| f32::from(level(place)));
        let stored = levels().map(|level| level * level).sum::<f32>().sqrt();
        let product = levels().zip(vector).map(|(level, value)| level * value).sum::<f32>();
        (product / stored, stored, places)
    });
    let best = tried.max_by(|(one, ..), (other, ..)| one.total_cmp(other));
    // The length of what is stored, so that a cosine never exceeds 1.
    let (scale, places) = best.map_or((0.0, vec![0; vector.len()]), |(_, stored, places)| (1.0 / stored, places));
    let pairs = places.chunks(2).map(|pair| pair.iter().rev().fold(0, |byte, place| byte << 4 | place));
    scale.to_le_bytes().into_iter().chain(pairs).collect()
}

/// The number of the level that is nearest to a value.
fn place(value: f32) -> u8 {
    const BORDERS: [f32; 7] = [12.0, 24.5, 37.5, 51.0, 66.5, 85.5, 111.5];
    let outer: u8 = BORDERS.iter().map(|&border| u8::from(value.abs() > border)).sum();
    if value > 0.0 { 8 + outer } else { 7 - outer }
}

fn level(place: u8) -> i8 {
    LEVELS.get(usize::from(place)).copied().unwrap_or_default()
}

/// The bytes of a vector that is brought to length 1, and what each is worth.
fn quantised(vector: &[f32]) -> (Vec<i8>, f32) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    if !(length.is_finite() && largest > 0.0) {
        return (vec![0; vector.len()], 0.0);
    }
    let bytes: Vec<i8> = vector.iter().map(|value| (value / largest * 127.0).round() as i8).collect();
    // The length of what is stored, so that a cosine never exceeds 1.
    let stored = (dot(&widened(&bytes), &bytes) as f32).sqrt();
    (bytes, 1.0 / stored)
}

/// All vectors of an index, in one piece of memory.
#[derive(Debug, Default)]
pub(super) struct PassageVectors {
    dims: usize,
    units: Vec<i64>,
    scales: Vec<f32>,
    bytes: Vec<i8>,
}

/// How near all vectors are to one.
pub(super) struct Cosines {
    /// In the order of [`PassageVectors::unit`].
    pub(super) values: Vec<f32>,
    pub(super) mean: f32,
    /// Standard deviation.
    pub(super) spread: f32,
}

impl PassageVectors {
    pub(super) fn new(dims: usize, expected: usize) -> Self {
        Self {
            dims,
            units: Vec::with_capacity(expected),
            scales: Vec::with_capacity(expected),
            bytes: Vec::with_capacity(expected * dims),
        }
    }

    /// Adds a stored vector. Those of another length are left out: texts without a known word have an empty one.
    pub(super) fn push(&mut self, unit: i64, packed: &[u8]) {
        if let Some((scale, pairs)) = packed.split_first_chunk::<SCALE>()
            && pairs.len() == self.dims.div_ceil(2)
        {
            self.units.push(unit);
            self.scales.push(f32::from_le_bytes(*scale));
            let levels = pairs.iter().flat_map(|pair| [level(pair & 15), level(pair >> 4)]);
            self.bytes.extend(levels.take(self.dims));
        }
    }

    /// The unit of the vector at a position.
    pub(super) fn unit(&self, at: usize) -> Option<i64> {
        self.units.get(at).copied()
    }

    /// The position of a unit's vector. Units come in ascending order.
    pub(super) fn position(&self, unit: i64) -> Option<usize> {
        self.units.binary_search(&unit).ok()
    }

    /// Compares all vectors with one.
    pub(super) fn cosines(&self, query: &[f32]) -> Cosines {
        let (query, scale) = quantised(query);
        let query = widened(&query);
        let mut values = vec![0.0; self.units.len()];
        let of_batch = |((values, scales), bytes): ((&mut [f32], &[f32]), &[i8])| {
            for ((value, its_scale), vector) in values.iter_mut().zip(scales).zip(bytes.chunks_exact(self.dims)) {
                *value = dot(&query, vector) as f32 * scale * its_scale;
            }
        };
        if self.dims > 0 {
            let batches = values.par_chunks_mut(BATCH).zip(self.scales.par_chunks(BATCH));
            batches.zip(self.bytes.par_chunks(BATCH * self.dims)).for_each(of_batch);
        }
        let count = values.len().max(1) as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
        Cosines { values, mean: mean as f32, spread: variance.sqrt() as f32 }
    }
}

impl Cosines {
    /// The positions of the `most` nearest among those wanted, nearest first.
    pub(super) fn nearest(&self, most: usize, is_wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.values.len()).filter(|&at| is_wanted(at)).collect();
        let key = |at: usize| self.values.get(at).copied().unwrap_or(f32::MIN);
        let by_value = |&a: &usize, &b: &usize| key(b).total_cmp(&key(a)).then(a.cmp(&b));
        if most > 0 && all.len() > most {
            all.select_nth_unstable_by(most - 1, by_value);
        }
        all.truncate(most);
        all.sort_unstable_by(by_value);
        all
    }
}

/// The bytes of a query, as the product wants them.
fn widened(bytes: &[i8]) -> Vec<i16> {
    bytes.iter().map(|&byte| byte.into()).collect()
}

/// Of 16-bit factors the compiler makes an instruction that multiplies and adds pairs, twice as fast as of bytes. A sum
/// of 65,536 products cannot overflow.
fn dot(query: &[i16], vector: &[i8]) -> i32 {
    query.iter().zip(vector).map(|(&a, &b)| i32::from(a) * i32::from(i16::from(b))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(seed: usize, dims: usize) -> Vec<f32> {
        (0..dims).map(|at| ((seed * 7919 + at * 104_729) % 1000) as f32 / 500.0 - 1.0).collect()
    }

    fn cosine(one: &[f32], other: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
    }

    #[test]
    fn what_is_stored_is_near_the_numbers() {
        // An odd number of dimensions leaves half a byte.
        let mut vectors = PassageVectors::new(321, 0);
        for unit in 0..5000 {
            vectors.push(unit * 2, &pack(&vector(unit as usize, 321)));
        }
        vectors.push(99_999, &[]);
        let query = vector(41, 321);
        let cosines = vectors.cosines(&query);
        for (at, &value) in cosines.values.iter().enumerate() {
            assert!((value - cosine(&query, &vector(at, 321))).abs() < 0.03, "{at}");
        }
        let nearest = cosines.nearest(3, |at| at != 7);
        assert_eq!((nearest.len(), vectors.position(82), vectors.units.len()), (3, Some(41), 5000));
        assert!(cosines.values[nearest[0]] > 0.99 && cosines.values[nearest[0]] <= 1.0);
        assert!(cosines.nearest(0, |_| true).is_empty());
    }

    #[test]
    fn what_is_no_direction_is_near_nothing() {
        for query in [vec![0.0; 8], vec![f32::NAN; 8], vec![f32::INFINITY; 8]] {
            let mut vectors = PassageVectors::new(8, 0);
            vectors.push(1, &pack(&vector(3, 8)));
            assert_eq!(vectors.cosines(&query).values, [0.0]);
            let mut vectors = PassageVectors::new(8, 0);
            vectors.push(1, &pack(&query));
            assert_eq!(vectors.cosines(&vector(3, 8)).values, [0.0]);
        }
    }
}
