//! Binary operators on two samples.

use std::sync::Arc;

use weir_model::{Histogram, Keep};

use super::notes::{Note, Notes};
use crate::ast::{BinaryOp, Position};

/// One side of an operator.
#[derive(Debug, Clone)]
pub(crate) enum Sample {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Sample {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// What an operator made of two samples.
pub(crate) struct Outcome {
    /// The new sample; for comparisons the left one.
    pub(crate) sample: Sample,
    /// Whether a comparison holds; true for other operators.
    pub(crate) keep: bool,
}

/// An operator on two numbers; comparisons give 0 or 1. `None` for set and trim operators.
pub(crate) fn arithmetic(op: BinaryOp) -> Option<fn(f64, f64) -> f64> {
    Some(match op {
        BinaryOp::Add => |a, b| a + b,
        BinaryOp::Sub => |a, b| a - b,
        BinaryOp::Mul => |a, b| a * b,
        BinaryOp::Div => |a, b| a / b,
        BinaryOp::Mod => |a, b| a % b,
        BinaryOp::Pow => f64::powf,
        BinaryOp::Atan2 => f64::atan2,
        _ => return None,
    })
}

/// A comparison of two numbers.
pub(crate) fn comparison(op: BinaryOp) -> Option<fn(f64, f64) -> bool> {
    Some(match op {
        BinaryOp::Eq => |a, b| a == b,
        BinaryOp::NotEq => |a, b| a != b,
        BinaryOp::Less => |a, b| a < b,
        BinaryOp::LessEq => |a, b| a <= b,
        BinaryOp::Greater => |a, b| a > b,
        BinaryOp::GreaterEq => |a, b| a >= b,
        _ => return None,
    })
}

/// An operator between two scalars; `None` for operators that scalars do not have.
pub(crate) fn scalars(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    if let Some(compare) = comparison(op) {
        return Some(f64::from(u8::from(compare(a, b))));
    }
    arithmetic(op).map(|f| f(a, b))
}

/// An operator between two samples; `None`, with a remark, when it does not exist for such samples.
pub(crate) fn samples(
    op: BinaryOp,
    left: &Sample,
    right: &Sample,
    position: Position,
    notes: &mut Notes,
) -> Option<Outcome> {
    let histogram = |mut h: Histogram, f: &dyn Fn(&mut Histogram)| {
        f(&mut h);
        h.compact();
        Some(Outcome { sample: Sample::Histogram(Arc::new(h)), keep: true })
    };
    match (left, right) {
        (Sample::Float(a), Sample::Float(b)) => {
            if let Some(compare) = comparison(op) {
                return Some(Outcome { sample: left.clone(), keep: compare(*a, *b) });
            }
            if let Some(f) = arithmetic(op) {
                return Some(Outcome { sample: Sample::Float(f(*a, *b)), keep: true });
            }
        }
        (Sample::Float(a), Sample::Histogram(b)) if op == BinaryOp::Mul => {
            return histogram((**b).clone(), &|h| h.scale(*a));
        }
        (Sample::Histogram(a), Sample::Float(b)) => match op {
            BinaryOp::Mul => return histogram((**a).clone(), &|h| h.scale(*b)),
            BinaryOp::Div => return histogram((**a).clone(), &|h| h.divide(*b)),
            BinaryOp::TrimUpper | BinaryOp::TrimLower => {
                let keep = if op == BinaryOp::TrimUpper { Keep::Below } else { Keep::Above };
                let mut trimmed = (**a).clone();
                trimmed.trim(*b, keep);
                return Some(Outcome { sample: Sample::Histogram(Arc::new(trimmed)), keep: true });
            }
            _ => {}
        },
        (Sample::Histogram(a), Sample::Histogram(b)) => match op {
            BinaryOp::Add | BinaryOp::Sub => return combined(op, a, b, position, notes),
            BinaryOp::Eq | BinaryOp::NotEq => {
                let keep = a.same_data(b) == (op == BinaryOp::Eq);
                return Some(Outcome { sample: left.clone(), keep });
            }
            _ => {}
        },
        (Sample::Float(_), Sample::Histogram(_)) => {}
    }
    let (left, operator, right) = (left.type_name(), op.symbol(), right.type_name());
    notes.add(Note::IncompatibleTypes { left, operator, right }, position);
    None
}

fn combined(
    op: BinaryOp,
    a: &Histogram,
    b: &Histogram,
    position: Position,
    notes: &mut Notes,
) -> Option<Outcome> {
    let mut result = a.clone();
    let (met, operation) =
        if op == BinaryOp::Add { (result.add(b), "addition") } else { (result.subtract(b), "subtraction") };
    match met {
        Err(_) => {
            notes.add(Note::IncompatibleBucketLayout { operator: op.symbol() }, position);
            return None;
        }
        Ok(met) => {
            if met.counter_reset_collision {
                notes.add(Note::CounterResetCollision { operation }, position);
                // Prometheus keeps such a sum out of vector-to-vector results and only warns.
                return None;
            }
            if met.bounds {
                notes.add(Note::MismatchedCustomBuckets { operation }, position);
            }
        }
    }
    if op == BinaryOp::Sub {
        result.counter_reset_hint = weir_model::CounterResetHint::Gauge;
    }
    result.compact();
    Some(Outcome { sample: Sample::Histogram(Arc::new(result)), keep: true })
}
