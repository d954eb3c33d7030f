//! Against the definition in double precision, and against itself in other company.

use std::ops::Range;

use pulp::Scalar;

use super::*;

/// Largest difference from the exact output, where values lie in [-1, 1]: sums of at most 640 products.
const TOLERANCE: f64 = 1e-5;

/// Numbers in [-1, 1) that a seed decides (a linear congruential generator).
fn random(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A batch whose queries, keys and values are columns of one matrix.
#[derive(Clone)]
struct Batch {
    heads: Heads,
    trees: Vec<Tree>,
    mask: Mask,
    fused: Vec<f32>,
}

impl Batch {
    fn new(seed: u32, heads: Heads, shapes: &[(usize, &[usize])]) -> Self {
        let mut start = 0;
        let mut tree = |&(prefix, tails): &(usize, &[usize])| {
            let tree = Tree { start, prefix, tails: tails.to_vec() };
            start += tree.tokens();
            tree
        };
        let trees: Vec<Tree> = shapes.iter().map(&mut tree).collect();
        let mut batch = Self { heads, trees, mask: Mask::Causal, fused: Vec::new() };
        batch.fused = random(seed, start * batch.stride());
        // Larger queries, so that some weights are near one and others near zero.
        let (stride, width) = (batch.stride(), heads.query * heads.size);
        batch.fused.chunks_mut(stride).for_each(|row| row[..width].iter_mut().for_each(|q| *q *= 8.0));
        batch
    }

    fn stride(&self) -> usize {
        (self.heads.query + 2 * self.heads.key_value) * self.heads.size
    }

    fn scale(&self) -> f32 {
        1.0 / (self.heads.size as f32).sqrt()
    }

    /// Where the keys and the values of a row begin.
    fn columns(&self) -> (usize, usize) {
        let (query, key) = (self.heads.query * self.heads.size, self.heads.key_value * self.heads.size);
        (query, query + key)
    }

    fn inputs(&self) -> Inputs<'_> {
        let (keys, values) = self.columns();
        let rows = |from: usize| StridedRows { values: self.fused.get(from..).unwrap_or(&[]), stride: self.stride() };
        Inputs { q: rows(0), k: rows(keys), v: rows(values), heads: self.heads, mask: self.mask, scale: self.scale() }
    }

    fn run(&self) -> Vec<f32> {
        let Inputs { q, k, v, heads, mask, .. } = self.inputs();
        let mut out = vec![f32::NAN; self.fused.len() / self.stride() * heads.query * heads.size];
        attention(q, k, v, heads, &self.trees, mask, &mut out);
        out
    }

    /// Some rows as a batch of their own.
    fn part(&self, rows: impl Iterator<Item = usize>, tree: Tree) -> Self {
        let stride = self.stride();
        let fused = rows.flat_map(|row| &self.fused[row * stride..][..stride]).copied().collect();
        Self { heads: self.heads, trees: vec![tree], mask: self.mask, fused }
    }

    /// Outputs of some rows.
    fn rows<'a>(&self, out: &'a [f32], rows: Range<usize>) -> &'a [f32] {
        let width = self.columns().0;
        &out[rows.start * width..rows.end * width]
    }

    /// The rows that a token of a tree sees.
    fn seen(&self, tree: &Tree, token: usize) -> Vec<usize> {
        if self.mask == Mask::Full {
            return (tree.start..tree.start + tree.prefix).collect();
        }
        let mut start = tree.prefix;
        for tail in &tree.tails {
            if (start..start + tail).contains(&token) {
                return (0..tree.prefix).chain(start..=token).map(|key| tree.start + key).collect();
            }
            start += tail;
        }
        (0..=token).map(|key| tree.start + key).collect()
    }

    /// The largest difference from the definition, at every `step`-th row.
    fn error(&self, out: &[f32], step: usize) -> f64 {
        let Heads { query, key_value, size } = self.heads;
        let part = |row: usize, from: usize| &self.fused[row * self.stride() + from..][..size];
        let (keys, values) = self.columns();
        let mut worst = 0.0f64;
        for tree in &self.trees {
            let tokens = (0..tree.tokens()).step_by(step);
            for (token, head) in tokens.flat_map(|token| (0..query).map(move |head| (token, head))) {
                let (row, shared) = (tree.start + token, head / (query / key_value) * size);
                let seen = self.seen(tree, token);
                let scores: Vec<f64> =
                    seen.iter().map(|&key| dot(part(row, head * size), part(key, keys + shared))).collect();
                let most = scores.iter().copied().fold(f64::MIN, f64::max);
                let weigh = |score: &f64| ((score - most) * f64::from(self.scale())).exp();
                let weights: Vec<f64> = scores.iter().map(weigh).collect();
                let total: f64 = weights.iter().sum();
                let mut exact = vec![0.0f64; size];
                for (&key, weight) in seen.iter().zip(&weights) {
                    let value = part(key, values + shared);
                    exact.iter_mut().zip(value).for_each(|(sum, v)| *sum += weight / total * f64::from(*v));
                }
                for (got, exact) in out[(row * query + head) * size..].iter().zip(&exact) {
                    assert!(got.is_finite(), "row {row} head {head}");
                    worst = worst.max((f64::from(*got) - exact).abs());
                }
            }
        }
        worst
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn heads(query: usize, key_value: usize, size: usize) -> Heads {
    Heads { query, key_value, size }
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[test]
fn outputs_equal_the_definition() {
    let sizes = [8, 16, 24, 32, 64, 128, 20, 1];
    let groups = [(4, 2), (2, 1), (8, 8), (16, 2), (5, 1), (60, 1)];
    let mut worst = 0.0f64;
    for round in 0..24 {
        let (query, key_value) = groups[round % groups.len()];
        let numbers = random(round as u32, 32);
        let number = |at: usize, most: usize| ((numbers[at] + 1.0) / 2.0 * most as f32) as usize;
        let longest = if round % 8 == 0 { 600 } else { 60 };
        let trees: Vec<(usize, Vec<usize>)> = (0..=round % 3)
            .map(|tree| (number(tree, longest), (0..number(4 + tree, 6)).map(|t| 1 + number(8 + t, 40)).collect()))
            .collect();
        let shapes: Vec<(usize, &[usize])> = trees.iter().map(|(prefix, tails)| (*prefix, &tails[..])).collect();
        let batch = Batch::new(round as u32, heads(query, key_value, sizes[round % sizes.len()]), &shapes);
        worst = worst.max(batch.error(&batch.run(), if longest == 600 { 7 } else { 1 }));
    }
    assert!(worst <= TOLERANCE, "{worst:e}");
}

#[test]
fn odd_shapes_equal_the_definition() {
    let shapes: &[&[(usize, &[usize])]] = &[
        &[],
        &[(0, &[])],
        &[(1, &[])],
        &[(0, &[1])],
        &[(0, &[1; 40])],
        &[(3, &[1; 40])],
        &[(0, &[7, 0, 9]), (0, &[]), (2, &[0, 0, 1])],
        &[(64, &[]), (65, &[63, 64, 65])],
    ];
    for shapes in shapes {
        let batch = Batch::new(7, heads(4, 2, 16), shapes);
        let error = batch.error(&batch.run(), 1);
        assert!(error <= TOLERANCE, "{shapes:?}: {error:e}");
    }
}

#[test]
fn tokens_of_an_encoder_see_all_of_their_text() {
    for (key_value, size) in [(12, 32), (2, 64), (4, 20)] {
        let mut batch = Batch::new(11, heads(12, key_value, size), &[(1, &[]), (47, &[]), (0, &[]), (160, &[])]);
        batch.mask = Mask::Full;
        let all = batch.run();
        let error = batch.error(&all, 1);
        assert!(error <= TOLERANCE, "{error:e}");
        let one = batch.part(1..48, Tree { start: 0, prefix: 47, tails: Vec::new() });
        assert!(same_bits(&one.run(), batch.rows(&all, 1..48)));
    }
}

#[test]
fn a_long_prefix_takes_no_square_of_memory_and_keeps_its_precision() {
    let batch = Batch::new(3, heads(2, 1, 8), &[(4000, &[30, 30])]);
    let error = batch.error(&batch.run(), 67);
    assert!(error <= TOLERANCE, "{error:e}");
}

#[test]
fn a_row_is_the_same_in_any_company_and_on_any_number_of_threads() {
    for size in [24, 128] {
        let batch = Batch::new(1, heads(4, 2, size), &[(33, &[5]), (130, &[30, 17, 40]), (0, &[9])]);
        let all = batch.run();
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for threads in [1, 3] {
            assert!(same_bits(&pool(threads).install(|| batch.run()), &all), "{threads} threads");
        }
        // The second tree by itself, then with its second tail only.
        let Tree { start, ref tails, .. } = batch.trees[1];
        let alone = batch.part(start..start + 217, Tree { start: 0, prefix: 130, tails: tails.clone() });
        assert!(same_bits(&alone.run(), batch.rows(&all, start..start + 217)));
        let of_tail = batch.rows(&all, start + 160..start + 177);
        let tokens = || (start..start + 130).chain(start + 160..start + 177);
        let one = batch.part(tokens(), Tree { start: 0, prefix: 130, tails: vec![17] });
        assert!(same_bits(batch.rows(&one.run(), 130..147), of_tail));
        // Prefix and tail as one plain sequence.
        let plain = batch.part(tokens(), Tree { start: 0, prefix: 147, tails: Vec::new() }).run();
        assert!(same_bits(batch.rows(&plain, 130..147), of_tail));
        assert!(same_bits(batch.rows(&plain, 0..130), batch.rows(&all, start..start + 130)));
    }
}

#[test]
fn every_processor_gives_the_same_bits() {
    let batch = Batch::new(5, heads(4, 2, 24), &[(70, &[30, 3]), (5, &[40])]);
    let here = batch.run();
    let mut plain = vec![0.0; here.len()];
    Simd::vectorize(Scalar, Layer { inputs: batch.inputs(), trees: &batch.trees, out: &mut plain });
    assert!(same_bits(&here, &plain));
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        plain.fill(0.0);
        Simd::vectorize(simd, Layer { inputs: batch.inputs(), trees: &batch.trees, out: &mut plain });
        assert!(same_bits(&here, &plain));
    }
}

#[test]
fn nan_reaches_those_who_see_it_and_nobody_else() {
    let batch = Batch::new(9, heads(4, 2, 16), &[(20, &[10, 10]), (50, &[])]);
    let (width, stride, (keys, values)) = (64, batch.stride(), batch.columns());
    let clean = batch.run();
    for (token, column) in
        [(5, keys), (5, values), (25, keys), (25, values + 3), (39, values + 31), (45, values), (12, 7)]
    {
        for poison in [f32::NAN, f32::INFINITY] {
            let mut batch = batch.clone();
            batch.fused[token * stride + column] = poison;
            let out = batch.run();
            for row in 0..90 {
                let tree = &batch.trees[usize::from(row >= 40)];
                let sees = batch.seen(tree, row - tree.start).contains(&token) && (column >= keys || row == token);
                let changed = !same_bits(batch.rows(&out, row..row + 1), batch.rows(&clean, row..row + 1));
                let nan = out[row * width..][..width].iter().any(|value| value.is_nan());
                assert!(sees || !changed, "token {token} column {column} row {row}");
                assert!(!(sees && poison.is_nan()) || nan, "token {token} column {column} row {row}");
            }
        }
    }
}

#[test]
fn rows_of_no_tree_stay_as_they_were() {
    let mut batch = Batch::new(2, heads(2, 1, 8), &[(3, &[2]), (4, &[]), (1, &[1])]);
    let all = batch.run();
    batch.trees.remove(1);
    let out = batch.run();
    assert!(same_bits(batch.rows(&out, 0..5), batch.rows(&all, 0..5)));
    assert!(batch.rows(&out, 5..9).iter().all(|value| value.is_nan()), "they were NaN before");
    assert!(same_bits(batch.rows(&out, 9..11), batch.rows(&all, 9..11)));
}
