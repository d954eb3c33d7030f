//! The exponential function of many numbers at once.

use pulp::Simd;

/// Below it `exp` gives zero; its powers of two end at 2 · 2^-126.
const LOWEST: f32 = -86.98;
/// The largest number whose exponential is one in single precision.
const HIGHEST: f32 = 88.722_83;
/// Added to a small number it leaves the nearest whole one in the lowest bits, here with the bias of an exponent, less
/// one: 2^128 is no single number, but 2 · 2^127 · exp(rest) may be.
const ROUNDING: f32 = 12_582_912.0 + 126.0;
/// ln 2 in two parts, the first so short that its product with an exponent is exact.
const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
/// 2 · exp(x) for |x| ≤ ln 2 / 2, highest power first: the polynomial through the Chebyshev nodes, off by 3e-9.
const DOUBLED: [f32; 7] =
    [2.0 * 0.001_394_116_1, 2.0 * 0.008_375_168, 2.0 * 0.041_666_35, 2.0 * 0.166_664_15, 1.0, 2.0, 2.0];

/// exp(x), off by at most [`EXP_ERROR`]; 0 where that is below 1.7e-38, infinity where it is above the largest number,
/// NaN of NaN.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let rounded = simd.mul_add_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), simd.splat_f32s(ROUNDING));
    let exponent = simd.sub_f32s(rounded, simd.splat_f32s(ROUNDING));
    let rest = simd.mul_add_f32s(exponent, simd.splat_f32s(-LN_2[0]), x);
    let rest = simd.mul_add_f32s(exponent, simd.splat_f32s(-LN_2[1]), rest);
    let mut sum = simd.splat_f32s(DOUBLED[0]);
    for factor in &DOUBLED[1..] {
        sum = simd.mul_add_f32s(sum, rest, simd.splat_f32s(*factor));
    }
    let bits = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(rounded), simd.splat_u32s(23));
    // A product rather than a sum of bits, so that NaN stays NaN.
    let power = simd.mul_f32s(sum, simd.transmute_f32s_u32s(bits));
    let low = simd.less_than_f32s(x, simd.splat_f32s(LOWEST));
    let high = simd.greater_than_f32s(x, simd.splat_f32s(HIGHEST));
    let power = simd.select_f32s(low, simd.splat_f32s(0.0), power);
    simd.select_f32s(high, simd.splat_f32s(f32::INFINITY), power)
}

/// The largest relative error of [`exp`].
#[cfg(test)]
pub(super) const EXP_ERROR: f64 = 2e-7;

#[cfg(test)]
mod tests {
    use pulp::{Arch, Scalar, Simd, WithSimd};

    use super::*;

    struct Each<'a>(&'a mut [f32]);

    impl WithSimd for Each<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let (whole, rest) = S::as_mut_simd_f32s(self.0);
            whole.iter_mut().for_each(|x| *x = exp(simd, *x));
            let last = exp(simd, simd.partial_load_f32s(rest));
            simd.partial_store_f32s(rest, last);
        }
    }

    #[test]
    fn it_is_as_near_as_it_claims_everywhere() {
        // Every 4999th single number, which reaches all exponents of both signs.
        let inputs: Vec<f32> = (0..=u32::MAX).step_by(4999).map(f32::from_bits).collect();
        let mut got = inputs.clone();
        Arch::new().dispatch(Each(&mut got));
        let mut worst = 0.0f64;
        for (&x, &got) in inputs.iter().zip(&got) {
            let exact = f64::from(x).exp();
            if x.is_nan() {
                assert!(got.is_nan(), "{x}");
            } else if x < LOWEST {
                assert_eq!(got.to_bits(), 0, "{x}");
            } else if exact > f64::from(f32::MAX) {
                assert_eq!(got, f32::INFINITY, "{x}");
            } else {
                worst = worst.max((f64::from(got) / exact - 1.0).abs());
            }
        }
        assert!(worst <= EXP_ERROR, "{worst:e}");
    }

    #[test]
    fn every_processor_gives_the_same_bits() {
        let inputs: Vec<f32> = (0..40_000).map(|n| n as f32 * 0.005 - 100.0).collect();
        let (mut here, mut plain) = (inputs.clone(), inputs);
        Arch::new().dispatch(Each(&mut here));
        Simd::vectorize(Scalar, Each(&mut plain));
        assert!(here.iter().zip(&plain).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn the_ends_are_exact() {
        let mut values = [f32::NEG_INFINITY, f32::INFINITY, f32::NAN, 0.0, -0.0, LOWEST, HIGHEST, f32::MIN, f32::MAX];
        Arch::new().dispatch(Each(&mut values));
        assert_eq!(values[..2], [0.0, f32::INFINITY]);
        assert!(values[2].is_nan());
        assert_eq!(values[3..5], [1.0, 1.0]);
        assert!(values[5] > 0.0 && values[6] < f32::INFINITY, "{values:?}");
        assert_eq!(values[7..], [0.0, f32::INFINITY]);
    }
}
