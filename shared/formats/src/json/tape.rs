//! A JSON document as one flat list of nodes that borrows its texts from the body.
//!
//! Documents of metrics come in several shapes with members in any order, and one bad member must
//! not spoil its neighbours; so a document is read whole, whatever its types, and judged afterwards.
//! A flat list costs one allocation a document where a tree would cost one an object.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::number;
use crate::outcome::quote;

/// Most values of one document, 256 MiB of tape: a body of bare digits has a value every two bytes.
pub(super) const MAX_SLOTS: usize = 8 << 20;

/// One value; what a list or an object holds follows it on the tape.
#[derive(Debug, Clone, PartialEq)]
enum Slot<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    /// Place behind the list's last element.
    List(u32),
    /// Place behind the object's last member; members are a text and a value each.
    Object(u32),
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tape<'a>(Vec<Slot<'a>>);

/// A value within a document.
#[derive(Clone, Copy)]
pub(super) struct Node<'t, 'a> {
    tape: &'t Tape<'a>,
    at: usize,
}

impl<'a> Tape<'a> {
    /// The document's outermost value.
    pub(super) fn root(&self) -> Node<'_, 'a> {
        Node { tape: self, at: 0 }
    }
}

impl<'t, 'a> Node<'t, 'a> {
    fn slot(self) -> &'t Slot<'a> {
        self.tape.0.get(self.at).unwrap_or(&Slot::Null)
    }

    fn end(self) -> usize {
        match self.slot() {
            Slot::List(end) | Slot::Object(end) => *end as usize,
            _ => self.at + 1,
        }
    }

    /// What it is, for messages; short texts and numbers as they are.
    pub(super) fn describe(self) -> String {
        match self.slot() {
            Slot::Null => "null".to_owned(),
            Slot::Bool(value) => value.to_string(),
            Slot::Number(value) => value.to_string(),
            Slot::Text(text) => quote(text),
            Slot::List(_) => "a list".to_owned(),
            Slot::Object(_) => "an object".to_owned(),
        }
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self.slot(), Slot::Null)
    }

    pub(super) fn is_object(self) -> bool {
        matches!(self.slot(), Slot::Object(_))
    }

    pub(super) fn text(self) -> Option<&'t str> {
        match self.slot() {
            Slot::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn bool(self) -> Option<bool> {
        match self.slot() {
            Slot::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A number, also one that is written as text.
    pub(super) fn number(self) -> Option<f64> {
        match self.slot() {
            Slot::Number(value) => Some(*value),
            Slot::Text(text) => number::float(text.trim()),
            _ => None,
        }
    }

    /// A number that is written as one.
    pub(super) fn bare_number(self) -> Option<f64> {
        match self.slot() {
            Slot::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// Elements of a list, or `None` when it is none.
    pub(super) fn list(self) -> Option<impl Iterator<Item = Node<'t, 'a>>> {
        let Slot::List(end) = self.slot() else { return None };
        let (tape, mut at, end) = (self.tape, self.at + 1, *end as usize);
        Some(std::iter::from_fn(move || {
            let node = Node { tape, at };
            (at < end).then(|| {
                at = node.end();
                node
            })
        }))
    }

    /// Members of an object, none for other values.
    pub(super) fn members(self) -> impl Iterator<Item = (&'t str, Node<'t, 'a>)> {
        let end = if self.is_object() { self.end() } else { 0 };
        let (tape, mut at) = (self.tape, self.at + 1);
        std::iter::from_fn(move || {
            let name = Node { tape, at };
            (at < end).then(|| {
                let value = Node { tape, at: at + 1 };
                at = value.end();
                (name.text().unwrap_or_default(), value)
            })
        })
    }

    /// The member of that name; the first of several, and `None` for null.
    pub(super) fn get(self, name: &str) -> Option<Node<'t, 'a>> {
        self.members().find(|(known, _)| *known == name).map(|(_, value)| value).filter(|v| !v.is_null())
    }

    /// The first member that goes by one of these names.
    pub(super) fn get_any(self, names: &[&str]) -> Option<Node<'t, 'a>> {
        names.iter().find_map(|name| self.get(name))
    }
}

impl<'de> Deserialize<'de> for Tape<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut slots = Vec::with_capacity(64);
        Push(&mut slots).deserialize(deserializer)?;
        Ok(Self(slots))
    }
}

/// Puts a value and all it holds at the tape's end.
struct Push<'v, 'a>(&'v mut Vec<Slot<'a>>);

impl<'de> DeserializeSeed<'de> for Push<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.len() >= MAX_SLOTS {
            return Err(D::Error::custom(format_args!("more than {MAX_SLOTS} values in one document")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Push<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push(Slot::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.push(Slot::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push(Slot::Number(value as f64));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.push(Slot::Number(value as f64));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.push(Slot::Number(value));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.0.push(Slot::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push(Slot::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let place = self.0.len();
        self.0.push(Slot::List(0));
        while list.next_element_seed(Push(self.0))?.is_some() {}
        // The tape has fewer slots than the body has bytes, and bodies are bounded far below 4 GiB.
        self.0[place] = Slot::List(self.0.len() as u32);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let place = self.0.len();
        self.0.push(Slot::Object(0));
        while object.next_key_seed(Push(self.0))?.is_some() {
            object.next_value_seed(Push(self.0))?;
        }
        self.0[place] = Slot::Object(self.0.len() as u32);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_are_found_past_nested_ones() {
        let tape: Tape<'_> =
            serde_json::from_str(r#"{"a":[1,{"x":[2]},"t\n"],"b":{"c":true},"d":null,"e":"2.5"}"#).unwrap();
        let root = tape.root();
        let names: Vec<_> = root.members().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "d", "e"]);
        let elements: Vec<_> = root.get("a").unwrap().list().unwrap().collect();
        assert_eq!((elements.len(), elements[2].text()), (3, Some("t\n")));
        assert_eq!(root.get("b").and_then(|b| b.get("c")).and_then(Node::bool), Some(true));
        assert!(root.get("d").is_none() && root.get("z").is_none());
        assert_eq!(root.get("e").and_then(Node::number), Some(2.5));
        assert_eq!(root.get("a").map(Node::describe), Some("a list".to_owned()));
    }
}
