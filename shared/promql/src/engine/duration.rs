//! Duration expressions: `[5m * 2]`, `offset step()`.

use super::error::QueryError;
use crate::ast::{BinaryOp, DurationExpr};

/// What duration expressions may refer to, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuerySpan {
    /// `step()`
    pub(crate) step_ms: i64,
    /// `range()`
    pub(crate) range_ms: i64,
}

/// Longest duration, 292 years in milliseconds: what fits into 64 bits of nanoseconds.
const MAX_MS: f64 = 9_223_372_036_854.0;

impl QuerySpan {
    /// A range or step: above zero.
    pub(crate) fn positive(&self, expr: &DurationExpr) -> Result<i64, QueryError> {
        let ms = self.milliseconds(expr)?;
        if ms <= 0.0 {
            return Err(QueryError::BadData("duration must be greater than 0".to_owned()));
        }
        Ok(ms as i64)
    }

    /// An offset: of either sign.
    pub(crate) fn any(&self, expr: Option<&DurationExpr>) -> Result<i64, QueryError> {
        expr.map_or(Ok(0), |expr| self.milliseconds(expr).map(|ms| ms as i64))
    }

    fn milliseconds(&self, expr: &DurationExpr) -> Result<f64, QueryError> {
        if let DurationExpr::Literal(ms) = expr {
            return Ok(*ms as f64);
        }
        let ms = self.seconds(expr)? * 1000.0;
        if !ms.is_finite() {
            return Err(QueryError::BadData("duration is NaN or infinite".to_owned()));
        }
        if ms.abs() > MAX_MS {
            return Err(QueryError::BadData("duration is out of range".to_owned()));
        }
        Ok(if ms > 0.0 && ms < 1.0 { ms } else { ms.trunc() })
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64, QueryError> {
        Ok(match expr {
            DurationExpr::Literal(ms) => *ms as f64 / 1000.0,
            DurationExpr::Number(x) => *x,
            DurationExpr::Step => self.step_ms as f64 / 1000.0,
            DurationExpr::Range => self.range_ms as f64 / 1000.0,
            DurationExpr::Negate(inner) => -self.seconds(inner)?,
            DurationExpr::Min(a, b) => self.seconds(a)?.min(self.seconds(b)?),
            DurationExpr::Max(a, b) => self.seconds(a)?.max(self.seconds(b)?),
            DurationExpr::Binary(op, a, b) => {
                let (a, b) = (self.seconds(a)?, self.seconds(b)?);
                match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div if b == 0.0 => return Err(QueryError::BadData("division by zero".into())),
                    BinaryOp::Mod if b == 0.0 => return Err(QueryError::BadData("modulo by zero".into())),
                    BinaryOp::Div => a / b,
                    BinaryOp::Mod => a % b,
                    BinaryOp::Pow => a.powf(b),
                    other => {
                        let symbol = other.symbol();
                        return Err(QueryError::BadData(format!(
                            "operator {symbol:?} is not allowed in a duration"
                        )));
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_computed_in_seconds() {
        let span = QuerySpan { step_ms: 15_000, range_ms: 3_600_000 };
        let literal = |ms| Box::new(DurationExpr::Literal(ms));
        let twice = DurationExpr::Binary(BinaryOp::Mul, literal(5_000), Box::new(DurationExpr::Number(2.0)));
        assert_eq!(span.positive(&twice).unwrap(), 10_000);
        let lower = DurationExpr::Min(Box::new(DurationExpr::Step), Box::new(DurationExpr::Range));
        assert_eq!(span.positive(&lower).unwrap(), 15_000);
        assert_eq!(span.any(Some(&DurationExpr::Negate(Box::new(lower)))).unwrap(), -15_000);
        let zero = DurationExpr::Binary(BinaryOp::Sub, literal(5_000), literal(5_000));
        assert!(span.positive(&zero).is_err());
        assert_eq!(span.any(Some(&zero)).unwrap(), 0);
        let division = DurationExpr::Binary(BinaryOp::Div, literal(5_000), Box::new(zero));
        assert_eq!(span.any(Some(&division)).unwrap_err().to_string(), "division by zero");
    }
}
