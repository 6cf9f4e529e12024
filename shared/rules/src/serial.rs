//! How labels, floats and alerts are written as JSON.

/// Labels as an object.
pub mod labels {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};
    use weir_model::Labels;

    /// Writes them.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(labels: &Labels, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(labels.iter())
    }

    /// Reads them.
    ///
    /// # Errors
    /// When it is no object of texts.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
        let pairs = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Labels::from_pairs(pairs.into_iter().filter(|(name, _)| !name.is_empty())))
    }
}

/// Floats as text, for those that JSON has no number for.
pub(crate) mod float {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(x)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no number")))
    }
}

/// A list of label sets.
pub(crate) mod label_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use weir_model::Labels;

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct One(#[serde(with = "super::labels")] Labels);

    pub(crate) fn serialize<S: Serializer>(all: &[Labels], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|labels| One(labels.clone())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Labels>, D::Error> {
        Ok(Vec::<One>::deserialize(deserializer)?.into_iter().map(|one| one.0).collect())
    }
}

/// Alerts as a list: their labels are their keys.
pub(crate) mod alerts {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};
    use weir_model::Labels;

    use crate::evaluate::Alert;

    pub(crate) fn serialize<S: Serializer>(
        all: &BTreeMap<Labels, Alert>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.values())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Labels, Alert>, D::Error> {
        let list = Vec::<Alert>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|alert| (alert.labels.clone(), alert)).collect())
    }
}
