//! Floats as short decimals: one power of ten and one common step for all values of a series.
//!
//! Most metrics are counts, bytes, or seconds with a few decimals. Written as
//! `(base + step * units) / divisor` with whole numbers they compress to a third of what floats need.
//! The form is used only where the same division gives back the very same bits.

/// Powers of ten up to the largest divisor. All are exact as floats, so `mantissa / power` with a
/// mantissa below 2^53 rounds once and gives the float nearest to the decimal.
pub(super) const POWERS: [f64; 16] =
    [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// Whole numbers below this are exact as floats.
const MAX_MANTISSA: i64 = 1 << 53;
/// A series is decimal when at most one finite value in this many has no decimal form.
const EXCEPTION_SHARE: usize = 8;

/// The decimal form of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Decimal {
    /// Power of ten; an index into [`POWERS`].
    pub(super) exponent: u8,
    /// Greatest common divisor of the differences, at least 1.
    pub(super) step: i64,
}

/// The whole number that stands for `value` at this power of ten, if it gives back the same bits.
#[inline]
fn mantissa(value: f64, power: f64) -> Option<i64> {
    let scaled = value * power;
    // Rounds half away from zero; the cast saturates, and NaN becomes 0. All are caught below.
    let whole = (scaled + 0.5_f64.copysign(scaled)) as i64;
    let same = (whole as f64 / power).to_bits() == value.to_bits();
    (same && whole.unsigned_abs() < MAX_MANTISSA.unsigned_abs()).then_some(whole)
}

/// Finds the decimal form of `values` and writes a mantissa for each into `mantissas`, which it replaces.
///
/// A value without decimal form (NaN, infinite, -0.0, too many digits) repeats the mantissa before it and its
/// position goes to `exceptions`; the caller stores it as a float. With too many of those, every value
/// becomes an exception and the mantissas are all zero.
pub(super) fn split(values: &[f64], mantissas: &mut Vec<i64>, exceptions: &mut Vec<u32>) -> Decimal {
    if let Some(exponent) = exponent_of(values) {
        fill(values, POWERS[usize::from(exponent)], mantissas, exceptions);
        if exceptions.len() <= values.len() / EXCEPTION_SHARE || exponent == 0 {
            return Decimal { exponent, step: common_step(mantissas) };
        }
    }
    mantissas.clear();
    mantissas.resize(values.len(), 0);
    exceptions.clear();
    exceptions.extend(0..values.len() as u32);
    Decimal { exponent: 0, step: 1 }
}

/// The smallest power of ten at which nearly every finite value is whole.
fn exponent_of(values: &[f64]) -> Option<u8> {
    let mut exponent = 0_usize;
    let mut bad = 0_usize;
    let most_bad = values.len() / EXCEPTION_SHARE;
    for &value in values {
        if mantissa(value, POWERS[exponent]).is_some() || !value.is_finite() || value == 0.0 {
            continue;
        }
        match (exponent + 1..POWERS.len()).find(|&e| mantissa(value, POWERS[e]).is_some()) {
            Some(larger) => exponent = larger,
            None => {
                bad += 1;
                if bad > most_bad {
                    return None;
                }
            }
        }
    }
    Some(exponent as u8)
}

fn fill(values: &[f64], power: f64, mantissas: &mut Vec<i64>, exceptions: &mut Vec<u32>) {
    mantissas.clear();
    exceptions.clear();
    mantissas.reserve(values.len());
    // Leading exceptions repeat the first mantissa there is, so that no difference is spent on them.
    let mut last = values.iter().find_map(|&value| mantissa(value, power)).unwrap_or(0);
    for (row, &value) in values.iter().enumerate() {
        match mantissa(value, power) {
            Some(whole) => last = whole,
            None => exceptions.push(row as u32),
        }
        mantissas.push(last);
    }
}

/// The greatest common divisor of the differences; 1 for a constant.
fn common_step(mantissas: &[i64]) -> i64 {
    let mut step = 0_u64;
    for pair in mantissas.windows(2) {
        let difference = pair[1].abs_diff(pair[0]);
        if step == 1 {
            return 1;
        }
        if difference != 0 && (step == 0 || difference % step != 0) {
            step = gcd(step, difference);
        }
    }
    // Below 2^54, since mantissas are below 2^53.
    (step as i64).max(1)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> (Decimal, Vec<i64>, Vec<u32>) {
        let (mut mantissas, mut exceptions) = (Vec::new(), Vec::new());
        let decimal = split(values, &mut mantissas, &mut exceptions);
        (decimal, mantissas, exceptions)
    }

    /// What it shows, the values, power and step, mantissas, exceptions.
    type Row<'a> = (&'a str, &'a [f64], (u8, i64), &'a [i64], &'a [u32]);

    #[test]
    fn the_smallest_power_and_the_largest_step_are_found() {
        let long = 1.0 / 3.0;
        let rows: [Row<'_>; 8] = [
            ("whole numbers", &[3.0, 5.0, 9.0], (0, 2), &[3, 5, 9], &[]),
            ("pages of memory", &[8192.0, 4096.0, 16384.0], (0, 4096), &[8192, 4096, 16384], &[]),
            ("two decimals", &[0.07, 1.0, -2.5], (2, 1), &[7, 100, -250], &[]),
            ("a constant", &[1.5, 1.5], (1, 1), &[15, 15], &[]),
            ("the end of a series", &[4.0, stale()], (0, 1), &[4, 4], &[1]),
            ("a leading infinity", &[f64::INFINITY, 4.0, 6.0], (0, 2), &[4, 4, 6], &[0]),
            ("negative zero", &[-0.0, 2.0], (0, 1), &[2, 2], &[0]),
            ("full precision", &[long, 2.0 * long], (0, 1), &[0, 0], &[0, 1]),
        ];
        for (shows, values, (exponent, step), mantissas, exceptions) in rows {
            let want = (Decimal { exponent, step }, mantissas.to_vec(), exceptions.to_vec());
            assert_eq!(of(values), want, "{shows}");
        }
    }

    fn stale() -> f64 {
        weir_model::STALE_NAN
    }

    proptest! {
        #[test]
        fn every_value_is_exact_or_an_exception(values: Vec<f64>, scale in 0..8_i32, whole: Vec<i32>) {
            let short: Vec<f64> = whole.iter().map(|&w| f64::from(w) / 10f64.powi(scale)).collect();
            for values in [values, short] {
                let (decimal, mantissas, exceptions) = of(&values);
                prop_assert_eq!(mantissas.len(), values.len());
                prop_assert!(decimal.step >= 1);
                for (row, value) in values.iter().enumerate() {
                    let back = mantissas[row] as f64 / POWERS[usize::from(decimal.exponent)];
                    let exact = back.to_bits() == value.to_bits();
                    prop_assert!(exact || exceptions.contains(&(row as u32)));
                    prop_assert_eq!((mantissas[row] - mantissas[0]) % decimal.step, 0);
                }
            }
        }
    }
}
