//! How fast rows are multiplied with the weights of a Qwen3 of 0.6 B, in GFLOP/s.
//!
//! `cargo bench --bench products [INPUTSxOUTPUTS ...]` prints a line for each shape, number of rows and number of
//! threads. All ways of multiplying that the processor has take turns and the best of many turns is printed, as
//! machines are noisy: where another program keeps a core busy, the lines for more than one thread say little.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "it talks to its user, who built it")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use mailsort::engine::kernels::products::{Builder, Packed, Way, WeightRows};
use rayon::ThreadPool;

/// Inputs and outputs: q, k and v; o; gate and up; down.
const SHAPES: [(usize, usize); 4] = [(1024, 4096), (2048, 1024), (1024, 6144), (3072, 1024)];
const ROWS: [usize; 5] = [1, 16, 128, 540, 2048];

/// Time for each line, and turns at least.
const TIME: Duration = Duration::from_millis(300);
const TURNS: usize = 5;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let pools: Vec<ThreadPool> = if threads == 1 { vec![pool(1)] } else { vec![pool(1), pool(threads)] };
    let ways = Way::all();
    for (inputs, outputs) in SHAPES {
        if wanted.is_empty() || wanted.contains(&format!("{inputs}x{outputs}")) {
            shape(&ways, inputs, outputs, &pools);
        }
    }
}

fn pool(threads: usize) -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool")
}

/// Numbers between -1 and 1 that do not repeat soon.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 7919) % 20011) as f32 / 10005.5 - 1.0).collect()
}

fn shape(ways: &[Way], inputs: usize, outputs: usize, pools: &[ThreadPool]) {
    let values = numbers(inputs * outputs);
    let mut weights: Vec<Packed> = Vec::new();
    print!("{inputs} -> {outputs}, packed at");
    for way in ways {
        let start = Instant::now();
        let mut builder = Builder::by(*way, outputs, inputs);
        builder.push(WeightRows::F32(&values));
        weights.push(builder.finish());
        let speed = values.len() as f64 / start.elapsed().as_secs_f64() / 1e6;
        print!(" {} {speed:.0}", name(*way));
    }
    println!(" million weights a second");
    for rows in ROWS {
        let input = numbers(rows * inputs);
        let mut output = vec![0.0; rows * outputs];
        for pool in pools {
            let mut best = vec![f64::MAX; weights.len()];
            let start = Instant::now();
            let mut turns = 0;
            while turns < TURNS || start.elapsed() < TIME {
                for (weight, best) in weights.iter().zip(&mut best) {
                    *best = best.min(pool.install(|| seconds(weight, &input, &mut output)));
                }
                turns += 1;
            }
            let work = 2e-9 * (rows * inputs * outputs) as f64;
            print!("  {rows:5} rows, {} threads:", pool.current_num_threads());
            ways.iter().zip(best).for_each(|(way, best)| print!("  {} {:7.1}", name(*way), work / best));
            println!();
        }
    }
}

/// Such as `Bf16 tiles`: AMX.
fn name(way: Way) -> String {
    format!("{:?} {:?}", way.kind, way.unit).to_lowercase()
}

fn seconds(weight: &Packed, input: &[f32], output: &mut [f32]) -> f64 {
    let start = Instant::now();
    weight.product(black_box(input), output);
    black_box(output);
    start.elapsed().as_secs_f64()
}
