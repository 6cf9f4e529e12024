//! The sink port on AWS: CloudWatch metrics and Timestream, and what sending to both has in common.

mod cloudwatch;
mod timestream;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use tokio::time::timeout_at;
use weir_platform::{Backoff, Point, SinkError};

use crate::account::chain;

pub use cloudwatch::CloudWatchSink;
pub use timestream::TimestreamSink;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Most requests of one call that are cut in two to find what is wrong in them.
const MAX_HALVINGS: usize = 64;

/// Settings of a sink.
#[derive(Debug, Clone, Copy)]
pub struct SinkOptions {
    /// How long one call may take, retries included. Two sinks of a function follow one another within its
    /// time limit of two minutes.
    pub deadline: Duration,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(45) }
    }
}

/// What a service said to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// All is there.
    Taken,
    /// All but these, by their places in the request, with the reasons; they are not wanted later either.
    TakenBut(Vec<(usize, String)>),
    /// Nothing is there, since something in the request is wrong.
    Wrong(String),
    /// Nothing may be there; trying again may help.
    Passing(String),
    /// Nothing is there, nor will be until someone changes something: permissions, a missing table.
    Halted(String),
}

/// A service's requests.
trait Requests {
    /// What a request has many of.
    type Item: Clone + Send + Sync;
    /// Most items of a request.
    const MAX_ITEMS: usize;
    /// Most bytes of a request.
    const MAX_BYTES: usize;

    /// Bytes of an item in a request, rather too many than too few.
    fn bytes(item: &Self::Item) -> usize;

    /// Makes a request.
    fn put(&self, items: Vec<Self::Item>) -> impl Future<Output = Answer> + Send;
}

/// An item, and the place of the point that it is of.
type Placed<T> = (usize, T);

/// Sends what points become, what may pass again until the deadline, and answers for each point; `items` says
/// why the service has no place for one.
async fn deliver<R: Requests>(
    service: &R,
    points: &[Point],
    items: impl Fn(&Point) -> Result<Vec<R::Item>, String> + Send,
    deadline: Duration,
) -> Vec<Result<(), SinkError>> {
    let mut results: Vec<Result<(), SinkError>> = vec![Ok(()); points.len()];
    let mut left: Vec<Placed<R::Item>> = Vec::new();
    for (at, point) in points.iter().enumerate() {
        let invalid = |reason| SinkError::Invalid { metric: point.metric.clone(), reason };
        match point.check().and_then(|()| items(point).map_err(invalid)) {
            Ok(items) => left.extend(items.into_iter().map(|item| (at, item))),
            Err(error) => results[at] = Err(error),
        }
    }
    let mut backoff = Backoff::new(FIRST_BACKOFF, MAX_BACKOFF, deadline);
    let mut halvings = 0;
    let mut refused: BTreeMap<usize, String> = BTreeMap::new();
    loop {
        let mut queue: VecDeque<_> = requests::<R>(std::mem::take(&mut left)).into();
        let (mut halted, mut last) = (false, String::new());
        while let Some(mut request) = queue.pop_front() {
            let put = service.put(request.iter().map(|(_, item)| item.clone()).collect());
            let late = || Answer::Passing("no answer in time".to_owned());
            match timeout_at(backoff.deadline(), put).await.unwrap_or_else(|_| late()) {
                Answer::Taken => {}
                Answer::TakenBut(but) => {
                    let of = |at: usize| request.get(at).map(|(point, _)| *point);
                    refused.extend(but.into_iter().filter_map(|(at, reason)| Some((of(at)?, reason))));
                }
                Answer::Wrong(_) if request.len() > 1 && halvings < MAX_HALVINGS => {
                    halvings += 1;
                    let second = request.split_off(request.len() / 2);
                    queue.push_front(second);
                    queue.push_front(request);
                }
                Answer::Wrong(reason) => {
                    refused.extend(request.iter().map(|(point, _)| (*point, reason.clone())));
                }
                Answer::Passing(reason) => {
                    last = reason;
                    left.append(&mut request);
                }
                Answer::Halted(reason) => {
                    (halted, last) = (true, reason);
                    left.append(&mut request);
                    left.extend(queue.drain(..).flatten());
                }
            }
        }
        if left.is_empty() {
            break;
        }
        if halted || !backoff.pause().await {
            for (point, _) in &left {
                let metric = points[*point].metric.clone();
                results[*point] = Err(SinkError::Unavailable { metric, reason: last.clone() });
            }
            break;
        }
    }
    for (point, reason) in refused {
        results[point] = Err(SinkError::Refused { metric: points[point].metric.clone(), reason });
    }
    results
}

/// Cuts items into requests within the service's bounds; a largest one stands alone.
fn requests<R: Requests>(items: Vec<Placed<R::Item>>) -> Vec<Vec<Placed<R::Item>>> {
    let mut requests: Vec<Vec<Placed<R::Item>>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let more = R::bytes(&item.1);
        match requests.last_mut() {
            Some(request) if request.len() < R::MAX_ITEMS && bytes + more <= R::MAX_BYTES => {
                request.push(item);
                bytes += more;
            }
            _ => {
                requests.push(vec![item]);
                bytes = more;
            }
        }
    }
    requests
}

/// What an error means for a request; `wrong` lists the service's codes for what it will never take.
fn answer<E>(error: &SdkError<E>, wrong: &[&str]) -> Answer
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let reason = chain(error);
    match error {
        SdkError::ServiceError(refused) => {
            let (code, status) = (refused.err().code().unwrap_or(""), refused.raw().status().as_u16());
            if status >= 500 || code.contains("Throttl") || code.contains("LimitExceeded") {
                Answer::Passing(reason)
            } else if status == 413 || wrong.iter().any(|wrong| code.starts_with(wrong)) {
                Answer::Wrong(reason)
            } else {
                Answer::Halted(reason)
            }
        }
        SdkError::ConstructionFailure(_) => Answer::Wrong(reason),
        _ => Answer::Passing(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use weir_platform::{Observation, PointKind};

    /// A service of numbers: it answers as a script says, and then takes everything but 13.
    #[derive(Default)]
    struct Numbers {
        script: Mutex<VecDeque<Answer>>,
        taken: Mutex<Vec<Vec<u32>>>,
    }

    impl Requests for Numbers {
        type Item = u32;
        const MAX_ITEMS: usize = 8;
        const MAX_BYTES: usize = 40;

        fn bytes(item: &u32) -> usize {
            if *item == 99 { 41 } else { 4 }
        }

        async fn put(&self, items: Vec<u32>) -> Answer {
            let scripted = self.script.lock().unwrap().pop_front();
            let answer = scripted.unwrap_or(if items.contains(&13) {
                Answer::Wrong("unlucky".to_owned())
            } else {
                Answer::Taken
            });
            if matches!(answer, Answer::Taken | Answer::TakenBut(_)) {
                self.taken.lock().unwrap().push(items);
            }
            answer
        }
    }

    /// A point that becomes this number.
    fn point(number: u32) -> Point {
        Point {
            tenant: "default".to_owned(),
            metric: "m".to_owned(),
            labels: Vec::new(),
            start_ms: 0,
            every_ms: 1,
            kind: PointKind::Level,
            observations: vec![Observation { value: 1.0, count: 1.0 }],
            sum: 1.0,
            last: 1.0,
            version: number.into(),
            part: 0,
        }
    }

    async fn sent(service: &Numbers, items: &[u32]) -> Vec<&'static str> {
        let points: Vec<Point> = items.iter().copied().map(point).collect();
        let number = |point: &Point| Ok(vec![u32::try_from(point.version).unwrap()]);
        let results = deliver(service, &points, number, Duration::from_secs(2)).await;
        let word = |result: &Result<(), SinkError>| match result {
            Ok(()) => "ok",
            Err(SinkError::Unavailable { .. }) => "unavailable",
            Err(_) => "refused",
        };
        results.iter().map(word).collect()
    }

    #[tokio::test]
    async fn what_is_wrong_in_a_request_is_found_and_the_rest_sent_once() {
        let service = Numbers::default();
        let results = sent(&service, &[1, 2, 3, 13, 5, 99, 7]).await;
        assert_eq!(results, ["ok", "ok", "ok", "refused", "ok", "ok", "ok"]);
        let mut taken = service.taken.lock().unwrap().concat();
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 3, 5, 7, 99]);
    }

    #[tokio::test]
    async fn only_what_failed_is_sent_again_and_what_never_passes_is_told() {
        let passing = || Answer::Passing("busy".to_owned());
        let service = Numbers::default();
        let but = Answer::TakenBut(vec![(1, "old".to_owned())]);
        service.script.lock().unwrap().extend([but, passing(), passing()]);
        let items: Vec<u32> = (20..32).collect();
        let results = sent(&service, &items).await;
        assert_eq!(results.iter().filter(|word| **word == "ok").count(), 11);
        assert_eq!(results[1], "refused");
        assert_eq!(*service.taken.lock().unwrap(), [(20..28).collect::<Vec<_>>(), (28..32).collect()]);

        let service = Numbers::default();
        service.script.lock().unwrap().extend((0..1_000).map(|_| passing()));
        assert_eq!(sent(&service, &[1, 2]).await, ["unavailable", "unavailable"]);
        assert!(service.script.lock().unwrap().len() > 900, "it waits longer and longer");

        let service = Numbers::default();
        service.script.lock().unwrap().push_back(Answer::Halted("no permission".to_owned()));
        let results = sent(&service, &(20..32).collect::<Vec<_>>()).await;
        assert!(results.iter().all(|word| *word == "unavailable"), "{results:?}");
        assert!(service.taken.lock().unwrap().is_empty());
    }

    #[test]
    fn requests_stay_within_the_bounds_of_the_service() {
        let cut = |items: &[u32]| {
            let placed = items.iter().map(|item| (0, *item)).collect();
            requests::<Numbers>(placed).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(cut(&[]), [0; 0]);
        assert_eq!(cut(&[1; 17]), [8, 8, 1]);
        assert_eq!(cut(&[1, 99, 1, 1]), [1, 1, 2]);
    }
}
