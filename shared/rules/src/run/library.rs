//! The rules of every tenant: files given at the start, and those that people put into the bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use weir_model::TenantId;
use weir_platform::{Bucket, BucketError, MetricSpec, MetricType, ObjectInfo, Telemetry};

use super::book::RuleBook;
use crate::evaluate::Settings;
use crate::explain::Guide;
use crate::file::{MAX_FILE_BYTES, RuleFile};

/// Where rule files lie in the bucket: `NAME.yml` are the default tenant's, `tenant=NAME/NAME.yml` another's.
const FOLDER: &str = "config/rules/";
/// Most rule files in the bucket; those beyond, in order of their keys, are refused.
const MAX_FILES: usize = 1_000;

const REFUSED: MetricSpec = MetricSpec {
    name: "weir_rule_files_refused",
    help: "Rule files in the bucket that cannot be used; the log says why.",
    kind: MetricType::Gauge,
};

/// The rules of each tenant that has any.
pub type Books = BTreeMap<TenantId, Arc<RuleBook>>;

/// Rules that may change while functions run: each run looks whether the files in the bucket are others.
///
/// A file that cannot be used is told and counted, and all others count: one person's slip of the pen must not
/// silence everybody's alerts. If it has the name of one given at the start, that one stays in force.
pub struct RuleLibrary {
    given: Vec<RuleFile>,
    settings: Settings,
    guide: Guide,
    bucket: Arc<dyn Bucket>,
    telemetry: Arc<Telemetry>,
    known: Mutex<Option<Known>>,
}

struct Known {
    /// What the bucket held: files there may be replaced.
    listed: Vec<ObjectInfo>,
    books: Arc<Books>,
}

impl RuleLibrary {
    /// Files given at the start are the default tenant's; one in the bucket stands in for one of its name.
    #[must_use]
    pub fn new(
        given: Vec<RuleFile>,
        settings: Settings,
        bucket: Arc<dyn Bucket>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self { given, settings, guide: Guide::default(), bucket, telemetry, known: Mutex::new(None) }
    }

    /// The same with what alerts mean; without it, they mean what they say themselves.
    #[must_use]
    pub fn guided_by(self, guide: Guide) -> Self {
        Self { guide, ..self }
    }

    /// What alerts mean.
    #[must_use]
    pub fn guide(&self) -> &Guide {
        &self.guide
    }

    /// How rules are evaluated.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The rules as they are now. While the bucket cannot be listed, those known before.
    ///
    /// # Errors
    /// [`BucketError`] when the bucket fails and nothing is known yet.
    pub async fn books(&self) -> Result<Arc<Books>, BucketError> {
        let mut known = self.known.lock().await;
        let read = match self.bucket.list(FOLDER, None, MAX_FILES + 1).await {
            Ok(listed) => match &*known {
                Some(known) if known.listed == listed => return Ok(known.books.clone()),
                _ => self.read(&listed).await.map(|books| Known { listed, books: Arc::new(books) }),
            },
            Err(error) => Err(error),
        };
        match (read, &*known) {
            (Ok(read), _) => {
                let books = read.books.clone();
                *known = Some(read);
                Ok(books)
            }
            (Err(error), Some(known)) => {
                tracing::warn!(%error, "the rule files in the bucket cannot be read; the rules stay as they were");
                Ok(known.books.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn read(&self, listed: &[ObjectInfo]) -> Result<Books, BucketError> {
        let mut files = BTreeMap::from([(TenantId::default(), self.given.clone())]);
        let mut refused = 0;
        for (index, object) in listed.iter().enumerate() {
            let path = object.key.trim_start_matches(FOLDER);
            if !(path.ends_with(".yml") || path.ends_with(".yaml")) || path.contains(".test.") {
                continue;
            }
            let read = if index < MAX_FILES {
                self.file(path, object).await?
            } else {
                Err(format!("{FOLDER} holds more than {MAX_FILES} files"))
            };
            match read {
                Ok((tenant, file)) => {
                    let own: &mut Vec<RuleFile> = files.entry(tenant).or_default();
                    own.retain(|known| known.name != file.name);
                    own.push(file);
                }
                Err(reason) => {
                    refused += 1;
                    tracing::error!(
                        key = object.key,
                        reason,
                        "a rule file is refused; the others are in force"
                    );
                }
            }
        }
        self.telemetry.set(&REFUSED, &[], f64::from(refused));
        let book = |files| Arc::new(RuleBook::new(files, self.settings.clone()));
        Ok(files.into_iter().map(|(tenant, files)| (tenant, book(files))).collect())
    }

    /// A file and whose it is, or why it cannot be used.
    async fn file(
        &self,
        path: &str,
        object: &ObjectInfo,
    ) -> Result<Result<(TenantId, RuleFile), String>, BucketError> {
        let (tenant, name) = match path.split_once('/') {
            None => (Ok(TenantId::default()), path),
            Some((folder, name)) => match folder.strip_prefix("tenant=") {
                Some(tenant) => (TenantId::new(tenant).map_err(|error| error.to_string()), name),
                None => (Err(format!("folder {folder:?} is not tenant=NAME")), name),
            },
        };
        let tenant = match tenant {
            Ok(tenant) => tenant,
            Err(reason) => return Ok(Err(reason)),
        };
        if object.size > MAX_FILE_BYTES as u64 {
            return Ok(Err(format!("it has {} bytes, at most {MAX_FILE_BYTES}", object.size)));
        }
        let bytes = match self.bucket.get(&object.key).await {
            Ok(bytes) => bytes,
            // Deleted since it was listed.
            Err(error @ BucketError::NotFound { .. }) => return Ok(Err(error.to_string())),
            Err(error) => return Err(error),
        };
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(RuleFile::parse(name, text).map(|file| (tenant, file)).map_err(|error| error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use weir_platform::MemoryBucket;

    use super::*;
    use crate::run::Job;

    fn rules(record: &str) -> String {
        format!("groups: [{{name: g, interval: 1m, rules: [{{record: {record}, expr: up}}]}}]")
    }

    async fn put(bucket: &Arc<dyn Bucket>, path: &str, text: &str) {
        bucket.create(&format!("{FOLDER}{path}"), Bytes::from(text.to_owned())).await.unwrap();
    }

    fn names(books: &Books, tenant: &str) -> Vec<String> {
        let Some(book) = books.get(&TenantId::new(tenant).unwrap()) else { return Vec::new() };
        let rules = book.groups(Job::Alert).iter().flat_map(|group| group.rules.iter());
        rules.map(|rule| rule.name.clone()).collect()
    }

    #[tokio::test]
    async fn files_in_the_bucket_come_into_force_while_functions_run() {
        let bucket: Arc<dyn Bucket> = Arc::new(MemoryBucket::new());
        let given = vec![RuleFile::parse("a.yml", &rules("given")).unwrap()];
        let library = RuleLibrary::new(given, Settings::default(), bucket.clone(), Arc::default());
        assert_eq!(names(&library.books().await.unwrap(), "default"), ["given"]);
        put(&bucket, "b.yml", &rules("added")).await;
        put(&bucket, "b.test.yml", "nothing of ours").await;
        put(&bucket, "tenant=acme/a.yml", &rules("theirs")).await;
        let books = library.books().await.unwrap();
        assert_eq!(names(&books, "default"), ["given", "added"]);
        assert_eq!(names(&books, "acme"), ["theirs"]);
        assert!(Arc::ptr_eq(&books, &library.books().await.unwrap()), "nothing changed, nothing is read");
        put(&bucket, "a.yml", &rules("instead")).await;
        assert_eq!(names(&library.books().await.unwrap(), "default"), ["instead", "added"]);
        bucket.delete("config/rules/a.yml").await.unwrap();
        assert_eq!(names(&library.books().await.unwrap(), "default"), ["given", "added"]);
    }

    #[tokio::test]
    async fn a_bad_file_is_counted_and_silences_no_other() {
        let bucket: Arc<dyn Bucket> = Arc::new(MemoryBucket::new());
        let telemetry = Arc::<Telemetry>::default();
        let given = vec![RuleFile::parse("a.yml", &rules("given")).unwrap()];
        let library = RuleLibrary::new(given, Settings::default(), bucket.clone(), telemetry.clone());
        put(&bucket, "a.yml", "groups: [{name: g, rules: [{record: x, expr: 'sum('}]}]").await;
        put(&bucket, "b.yml", &rules("good")).await;
        put(&bucket, "c.yml", "\u{0}").await;
        put(&bucket, "else/c.yml", &rules("nowhere")).await;
        put(&bucket, "tenant=a~b/c.yml", &rules("nobody")).await;
        let books = library.books().await.unwrap();
        assert_eq!(names(&books, "default"), ["given", "good"]);
        assert_eq!(books.len(), 1);
        let refused = telemetry.read().into_iter().find(|reading| reading.spec.name == REFUSED.name);
        assert_eq!(refused.map(|reading| reading.value), Some(4.0));
    }
}
