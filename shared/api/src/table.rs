//! What a row of the table says about a route.

use serde_json::Value;

/// Which function serves a route, by its logical id in template.yaml.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the names are the template's
pub enum Function {
    Ingest,
    Query,
    Compact,
    Archive,
    /// `weir up` itself: what only one process on one machine has.
    Local,
}

impl Function {
    /// The logical id in template.yaml; `None` for what no function serves in the cloud.
    #[must_use]
    pub fn logical_id(self) -> Option<&'static str> {
        match self {
            Self::Ingest => Some("Ingest"),
            Self::Query => Some("Query"),
            Self::Compact => Some("Compact"),
            Self::Archive => Some("Archive"),
            Self::Local => None,
        }
    }
}

/// A route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Its name: what the function dispatches on, and the document's operation id.
    pub id: &'static str,
    /// Who serves it.
    pub function: Function,
    /// Upper-case methods. `HEAD` comes with `GET`, `OPTIONS` with everything.
    pub methods: &'static [&'static str],
    /// The path, `{name}` standing for one segment.
    pub path: &'static str,
    /// The heading under which the document lists it.
    pub tag: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Parameters of path, query string and header. A `POST` route with [`Body::Form`] takes those of the
    /// query string as a form, too.
    pub parameters: &'static [Parameter],
    /// What a `POST` carries.
    pub body: Body,
    /// What success looks like.
    pub answer: Answer,
    /// Statuses of failure, each with the error envelope.
    pub failures: &'static [u16],
}

/// A parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What it may be.
    pub kind: Kind,
    /// True when the request fails without it.
    pub required: bool,
    /// What it does.
    pub about: &'static str,
    /// A value that works; empty for none.
    pub example: &'static str,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Place {
    Path,
    Query,
    Header,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// A PromQL expression or selector.
    Promql,
    /// Unix seconds or RFC 3339.
    Instant,
    /// Seconds, or a duration such as `5m`.
    Span,
    /// A whole number from that on.
    Whole(i64),
    /// `true` or `false`.
    Flag,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Any texts, the parameter repeated.
    Texts,
    /// A tenant's name.
    Tenant,
}

/// What a `POST` carries.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Nothing.
    None,
    /// The query string's parameters as `application/x-www-form-urlencoded`.
    Form,
    /// Bytes of one of these media types, with an example where it is text.
    Media(&'static [(&'static str, &'static str)]),
    /// JSON of this schema.
    Json(fn() -> Value),
}

/// What success looks like.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// 200 and JSON of this schema.
    Json(fn() -> Value),
    /// 200 and bytes of one of these media types.
    Media(&'static [&'static str]),
    /// 200 and bytes of one of these media types, or JSON of this schema.
    MediaOrJson(&'static [&'static str], fn() -> Value),
    /// JSON as the schema says, or 204 when there is nothing to say.
    JsonOrNothing(fn() -> Value),
    /// JSON of this schema, with 202 when the work goes on after the answer.
    JsonOrAccepted(fn() -> Value),
    /// 204.
    Empty,
}

impl Route {
    /// A route without parameters, body and failures; the other methods add them.
    pub(crate) const fn new(
        id: &'static str,
        function: Function,
        methods: &'static [&'static str],
        path: &'static str,
        summary: &'static str,
        answer: Answer,
    ) -> Self {
        Self {
            id,
            function,
            methods,
            path,
            tag: "",
            summary,
            parameters: &[],
            body: Body::None,
            answer,
            failures: &[],
        }
    }

    pub(crate) const fn tag(self, tag: &'static str) -> Self {
        Self { tag, ..self }
    }

    pub(crate) const fn parameters(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    pub(crate) const fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    pub(crate) const fn failures(self, failures: &'static [u16]) -> Self {
        Self { failures, ..self }
    }
}

impl Parameter {
    pub(crate) const fn query(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, place: Place::Query, kind, required: false, about, example: "" }
    }

    pub(crate) const fn header(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { place: Place::Header, ..Self::query(name, kind, about) }
    }

    pub(crate) const fn path(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { place: Place::Path, required: true, ..Self::query(name, kind, about) }
    }

    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(crate) const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }
}
