//! What is read from GGUF files, against what the gguf package reads from them, and files by candle's own quantiser.

use std::fs::File;
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::gguf_file::{self, Content, Value as Meta};
use candle_core::quantized::{GgmlDType, QTensor};

use super::*;

#[test]
fn tensors_are_those_of_the_gguf_package() {
    let names =
        ["tiny-reranker-f16.gguf", "tiny-reranker-q8_0.gguf", "tiny-wide-q4_k_m.gguf", "tiny-embedding-q8_0.gguf"];
    for name in names {
        let golden = golden(name);
        let mut file = File::open(folder(name)).unwrap();
        let content = Content::read(&mut file).unwrap();
        let tensors = golden["tensors"].as_array().unwrap();
        assert_eq!(tensors.len(), content.tensor_infos.len());
        let weights = checkpoint(name).weights;
        for tensor in tensors {
            let shape: Vec<usize> = numbers(&tensor["shape"]).into_iter().map(|size| size as usize).collect();
            let name = crate::engine::checkpoint::gguf::usual_name(text(tensor, "name"));
            let name = name.unwrap_or_else(|| text(tensor, "name").to_string());
            let got = weights.take(&name, &shape).unwrap().values().unwrap();
            let ends = [(&got[..8.min(got.len())], "first"), (&got[got.len() - 8.min(got.len())..], "last")];
            for (got, field) in ends {
                for (got, expected) in got.iter().zip(numbers(&tensor[field])) {
                    assert!((got - expected).abs() <= 1e-6 * expected.abs().max(1e-3), "{name}: {got} for {expected}");
                }
            }
            let sum: f64 = got.iter().map(|&value| f64::from(value)).sum();
            let squares: f64 = got.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
            let (expected, expected_squares) = (number(tensor, "sum"), number(tensor, "sum_of_squares"));
            assert!((sum - f64::from(expected)).abs() <= 1e-5 * squares.sqrt().max(1.0) * 10.0, "{name}: {sum}");
            assert!((squares / f64::from(expected_squares) - 1.0).abs() <= 1e-5, "{name}: {squares}");
        }
    }
}

/// Writes the wide model anew with every weight of two dimensions quantised by candle, and beside it what is left of
/// the weights in f32.
fn requantised(kind: GgmlDType, quantised: &Path, plain: &Path) {
    let source = folder("tiny-wide-q4_k_m.gguf");
    let content = Content::read(&mut File::open(&source).unwrap()).unwrap();
    let tensor = |name: &str| {
        let tensor = content.tensor(&mut File::open(&source).unwrap(), name, &Device::Cpu).unwrap();
        let wide = tensor.dequantize(&Device::Cpu).unwrap();
        let kind = if wide.rank() == 2 { kind } else { GgmlDType::F32 };
        QTensor::quantize(&wide, kind).unwrap()
    };
    let made: Vec<(String, QTensor)> = content.tensor_infos.keys().map(|name| (name.clone(), tensor(name))).collect();
    let left = |made: &QTensor| QTensor::quantize(&made.dequantize(&Device::Cpu).unwrap(), GgmlDType::F32).unwrap();
    let widened: Vec<(String, QTensor)> = made.iter().map(|(name, made)| (name.clone(), left(made))).collect();
    let metadata: Vec<(&str, &Meta)> = content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    for (path, tensors) in [(quantised, made), (plain, widened)] {
        let named: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        gguf_file::write(&mut File::create(path).unwrap(), &metadata, &named).unwrap();
    }
}

#[test]
fn files_by_candle_s_quantiser() {
    let golden = golden("tiny-wide-q4_k_m.gguf");
    let folder = tempfile::tempdir().unwrap();
    for kind in [GgmlDType::Q8_0, GgmlDType::Q6K, GgmlDType::Q5K, GgmlDType::Q4K] {
        let paths = ["quantised", "plain"].map(|name| folder.path().join(format!("{kind:?}-{name}.gguf")));
        requantised(kind, &paths[0], &paths[1]);
        let [quantised, plain] = paths.map(|path| {
            let cpu = open_device(DeviceChoice::Cpu).unwrap();
            match open("wide", &path, &cpu, options(Dtype::Auto)).unwrap().model {
                Model::Reranker(model) => model,
                Model::Embedder(_) => panic!("an embedding"),
            }
        });
        let mut worst = 0.0f32;
        for case in cases(&golden) {
            let (task, mail) = asked(case);
            let expected = judge(&*plain, &task, mail).logits[0];
            let logits = number(case, "logit_yes").abs().max(number(case, "logit_no").abs()).max(1.0);
            worst = worst.max((judge(&*quantised, &task, mail).logits[0] - expected).abs() / logits);
        }
        // Only activations are rounded between the two, and that to 8 bits.
        assert!(worst > 0.0 && worst <= Q8_0, "{kind:?}: off by {worst}");
    }
}
