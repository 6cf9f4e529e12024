//! Comparisons as Go's templates make them: within one basic kind only.

use super::value::Value;

/// True when `value` equals one of `others`.
pub(super) fn equal_to_any(value: &Value, others: &[Value]) -> Result<bool, String> {
    for other in others {
        let equal = match (value, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Nil, other) | (other, Value::Nil) => *other == Value::Nil,
            (a, b) => return Err(incompatible(a, b)),
        };
        if equal {
            return Ok(true);
        }
    }
    Ok(false)
}

/// True when `a` is less than `b`.
pub(super) fn less(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::Str(a), Value::Str(b)) => Ok(a < b),
        (a, b) => Err(incompatible(a, b)),
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    let basic =
        |value: &Value| matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_));
    if basic(a) && basic(b) {
        format!(
            "incompatible types for comparison: {} and {} (write 100.0 to compare with a value)",
            a.type_name(),
            b.type_name()
        )
    } else {
        "invalid type for comparison".to_owned()
    }
}
