//! A sample's value in JSON: a number, null for NaN, or a text for what is neither.

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};
use weir_model::{STALE_NAN, is_stale_nan};

/// A float that survives JSON bit for bit, but for the payload of NaNs other than the staleness marker.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Number(pub(crate) f64);

/// The word for a value that no JSON number stands for.
pub(crate) fn word(value: f64) -> Option<&'static str> {
    match value {
        _ if is_stale_nan(value) => Some("StaleNaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ if value.is_nan() => Some("NaN"),
        _ => None,
    }
}

/// The value of a text: a word as above, or any spelling of a float.
pub(crate) fn from_text(text: &str) -> Option<f64> {
    if text == "StaleNaN" { Some(STALE_NAN) } else { crate::number::float(text.trim()) }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match word(self.0) {
            Some("NaN") => serializer.serialize_unit(),
            Some(word) => serializer.serialize_str(word),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number, null, \"NaN\", \"+Inf\", \"-Inf\" or \"StaleNaN\"")
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number(f64::NAN))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
        Ok(Number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
        from_text(text).map(Number).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}
