//! The notifier port: messages to people and programs, each to an SNS topic or a webhook.
//!
//! Delivery is at least once: a sender that crashes between sending and noting that it has sent sends
//! again under the same id, by which a receiver tells a repetition.

mod by_kind;
mod memory;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

pub use by_kind::Notifiers;
pub use memory::MemoryNotifier;
pub use webhook::{ID_HEADER, SIGNATURE_HEADER, WebhookNotifier, WebhookOptions, signature};

/// Most bytes of a body and its attributes: the quota of an SNS message.
pub const MAX_NOTIFICATION_BYTES: usize = 256 << 10;
/// Most attributes: SQS passes ten on, one of which is the id.
pub const MAX_ATTRIBUTES: usize = 9;
/// The attribute under which a topic's subscribers find the id.
pub const ID_ATTRIBUTE: &str = "weir_id";
/// Longest id in characters: that of an entry of SNS' PublishBatch.
const MAX_ID_CHARS: usize = 80;
/// Longest name of an attribute in characters, as SNS has it.
const MAX_NAME_CHARS: usize = 256;
/// Longest subject in bytes; adapters fit it to what a destination takes.
const MAX_SUBJECT_BYTES: usize = 4 << 10;

/// A key that signs; never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(String);

impl Secret {
    /// The key's bytes are those of the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a notification goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// An SNS topic.
    Topic {
        /// `arn:aws:sns:REGION:ACCOUNT:NAME`; of a FIFO topic the name ends in `.fifo`.
        arn: String,
    },
    /// A server that takes a POST.
    Webhook {
        /// `http://…` or `https://…`.
        url: String,
        /// What signs the request; without one it is not signed.
        secret: Option<Secret>,
    },
}

/// For messages: the topic, or the webhook's URL without what may be secret in it (user, path, query).
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic { arn } => f.write_str(arn),
            Self::Webhook { url, .. } => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
                let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                let host = host.rsplit('@').next().unwrap_or_default();
                write!(f, "{scheme}://{host}/…")
            }
        }
    }
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Where to.
    pub destination: Destination,
    /// What makes a repetition known as one: 1 to 80 letters, digits, `-` and `_`.
    pub id: String,
    /// A title, where the destination has one (SNS shows it in mails; a webhook has none). At most 4 KiB;
    /// an adapter fits it to the destination.
    pub subject: Option<String>,
    /// The message, not empty.
    pub body: String,
    /// What a topic's subscribers filter by, at most [`MAX_ATTRIBUTES`]; a webhook does not get them.
    pub attributes: BTreeMap<String, String>,
}

impl Notification {
    /// Bytes that count against [`MAX_NOTIFICATION_BYTES`]: the body, and of attributes, the id among
    /// them, name, type and value.
    #[must_use]
    pub fn size(&self) -> usize {
        let attribute = |name: &str, value: &str| name.len() + "String".len() + value.len();
        let attributes = self.attributes.iter().map(|(name, value)| attribute(name, value)).sum::<usize>();
        self.body.len() + attributes + attribute(ID_ATTRIBUTE, &self.id)
    }

    /// Whether every destination of its kind could take it.
    ///
    /// # Errors
    /// [`NotifyError::Invalid`] says what is wrong, with the value and the limit.
    pub fn check(&self) -> Result<(), NotifyError> {
        let invalid = |reason: String| Err(NotifyError::Invalid { id: self.id.clone(), reason });
        let id_char = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=MAX_ID_CHARS).contains(&self.id.len()) || !self.id.chars().all(id_char) {
            return invalid(format!("an id is 1 to {MAX_ID_CHARS} letters, digits, '-' and '_'"));
        }
        if self.body.is_empty() {
            return invalid("its body is empty".to_owned());
        }
        let subject = self.subject.as_ref().map_or(0, String::len);
        if subject > MAX_SUBJECT_BYTES {
            return invalid(format!("its subject has {subject} bytes, at most {MAX_SUBJECT_BYTES}"));
        }
        let attributes = self.attributes.len();
        if attributes > MAX_ATTRIBUTES {
            return invalid(format!("it has {attributes} attributes, at most {MAX_ATTRIBUTES}"));
        }
        for (name, value) in &self.attributes {
            if let Some(reason) = bad_name(name) {
                return invalid(format!("the attribute name {name:?} {reason}"));
            }
            if value.is_empty() {
                return invalid(format!("its attribute {name:?} is empty"));
            }
        }
        let size = self.size();
        if size > MAX_NOTIFICATION_BYTES {
            return invalid(format!(
                "its body and attributes have {size} bytes, at most {MAX_NOTIFICATION_BYTES}"
            ));
        }
        match &self.destination {
            Destination::Topic { arn } if topic_name(arn).is_none() => invalid(format!(
                "{arn:?} names no SNS topic; one looks like arn:aws:sns:us-east-1:123456789012:NAME"
            )),
            Destination::Webhook { url, .. }
                if !(url.starts_with("http://") || url.starts_with("https://")) =>
            {
                invalid("its webhook's URL begins neither with http:// nor with https://".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// What is wrong with an attribute's name, by the rules of SNS and SQS.
fn bad_name(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if !(1..=MAX_NAME_CHARS).contains(&name.len()) {
        Some(format!("has {} characters; 1 to {MAX_NAME_CHARS} are allowed", name.len()))
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        Some("may only have letters, digits, '_', '-' and '.'".to_owned())
    } else if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        Some("may not begin or end with a dot, nor have two in a row".to_owned())
    } else if lower.starts_with("aws.") || lower.starts_with("amazon.") || name == ID_ATTRIBUTE {
        Some("is reserved".to_owned())
    } else {
        None
    }
}

/// The name in a topic's ARN.
fn topic_name(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", partition, "sns", region, account, name]
            if [partition, region, account, name].iter().all(|part| !part.is_empty()) =>
        {
            Some(name)
        }
        _ => None,
    }
}

/// Why a notification was not delivered, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// No destination would take it.
    #[error("the notification {id:?} cannot be sent: {reason}")]
    Invalid {
        /// Its id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The destination does not want it, now or later.
    #[error("{destination} refused the notification {id:?}: {reason}")]
    Refused {
        /// Its id.
        id: String,
        /// Where it should have gone.
        destination: String,
        /// What the destination said.
        reason: String,
    },
    /// It may have arrived or not; sending it again, under its id, may help.
    #[error("{destination} did not take the notification {id:?}: {reason}")]
    Unavailable {
        /// Its id.
        id: String,
        /// Where it should have gone.
        destination: String,
        /// What happened last.
        reason: String,
    },
}

impl NotifyError {
    /// Whether sending it again may help.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// That a notification's destination refused it.
    #[must_use]
    pub fn refused(notification: &Notification, reason: impl Into<String>) -> Self {
        let destination = notification.destination.to_string();
        Self::Refused { id: notification.id.clone(), destination, reason: reason.into() }
    }

    /// That a notification's destination could not take it.
    #[must_use]
    pub fn unavailable(notification: &Notification, reason: impl Into<String>) -> Self {
        let destination = notification.destination.to_string();
        Self::Unavailable { id: notification.id.clone(), destination, reason: reason.into() }
    }
}

/// Sends notifications.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Sends each notification, checked by [`Notification::check`], to its destination. Answers one
    /// result for each, in the order given; one that fails keeps none of the others back. `Ok` means
    /// that the destination took it. What may pass is tried again here within the adapter's deadline.
    async fn notify(&self, notifications: Vec<Notification>) -> Vec<Result<(), NotifyError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification() -> Notification {
        Notification {
            destination: Destination::Topic { arn: "arn:aws:sns:us-east-1:123456789012:alerts".into() },
            id: "a-1".into(),
            subject: None,
            body: "{}".into(),
            attributes: BTreeMap::new(),
        }
    }

    #[test]
    fn what_no_destination_takes_is_refused_with_the_value_and_the_limit() {
        type Change = fn(&mut Notification);
        let attribute = |name: &'static str| {
            let mut one = notification();
            one.attributes.insert(name.into(), "v".into());
            one
        };
        let with = |change: Change| {
            let mut one = notification();
            change(&mut one);
            one
        };
        let rows = [
            (with(|n| n.id = "a b".into()), "80 letters"),
            (with(|n| n.id = "x".repeat(81)), "80 letters"),
            (with(|n| n.id.clear()), "80 letters"),
            (with(|n| n.body.clear()), "body is empty"),
            (with(|n| n.subject = Some("s".repeat(4097))), "4097 bytes, at most 4096"),
            (with(|n| n.body = "x".repeat(256 << 10)), "262160 bytes, at most 262144"),
            (
                with(|n| n.attributes.extend((0..10).map(|i| (format!("a{i}"), "v".to_owned())))),
                "10 attributes, at most 9",
            ),
            (with(|n| drop(n.attributes.insert("a".into(), String::new()))), "is empty"),
            (attribute("a b"), "letters, digits"),
            (attribute(".a"), "dot"),
            (attribute("a..b"), "dot"),
            (attribute("AWS.x"), "reserved"),
            (attribute("weir_id"), "reserved"),
            (attribute(""), "1 to 256"),
            (with(|n| n.destination = Destination::Topic { arn: "alerts".into() }), "names no SNS topic"),
            (
                with(|n| n.destination = Destination::Webhook { url: "ftp://x".into(), secret: None }),
                "neither with http://",
            ),
        ];
        for (bad, want) in rows {
            let error = bad.check().unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
            assert!(!error.retryable());
        }
        notification().check().unwrap();
        let full = with(|n| n.body = "x".repeat((256 << 10) - 16));
        full.check().unwrap();
    }

    #[test]
    fn messages_show_neither_secrets_nor_what_may_be_secret_in_a_url() {
        let url = "https://user:pass@hooks.example:8443/services/T0/token?key=k".into();
        let hook = Destination::Webhook { url, secret: Some(Secret::new("hush")) };
        assert_eq!(hook.to_string(), "https://hooks.example:8443/…");
        let Destination::Webhook { secret, .. } = hook else { panic!("it is one") };
        assert_eq!(format!("{secret:?}"), "Some(Secret(…))");
    }
}
