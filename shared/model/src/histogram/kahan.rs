//! Compensated summation: the error of each addition is kept aside and added at the end.

/// Adds `increment` to the running `sum` with its `compensation`; returns both anew.
///
/// Kahan summation in Neumaier's form (A. Neumaier, 1974), which also holds when the increment is
/// larger than the sum. Once the sum is infinite the compensation has no meaning and becomes zero.
/// The total is `sum + compensation`.
#[inline]
#[must_use]
pub fn kahan_add(increment: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + increment;
    if total.is_infinite() {
        (total, 0.0)
    } else if sum.abs() >= increment.abs() {
        (total, compensation + ((sum - total) + increment))
    } else {
        (total, compensation + ((increment - total) + sum))
    }
}

#[cfg(test)]
mod tests {
    use super::kahan_add;

    #[test]
    fn small_numbers_survive_beside_large_ones() {
        let (mut sum, mut compensation) = (0.0, 0.0);
        for x in [1.0, 1e100, 1.0, -1e100] {
            (sum, compensation) = kahan_add(x, sum, compensation);
        }
        assert_eq!(sum + compensation, 2.0);
    }

    #[test]
    fn an_infinite_sum_stays_infinite() {
        let (sum, compensation) = kahan_add(f64::MAX, f64::MAX, 3.0);
        assert_eq!((sum, compensation), (f64::INFINITY, 0.0));
        assert!(kahan_add(f64::NAN, 1.0, 0.0).0.is_nan());
    }
}
