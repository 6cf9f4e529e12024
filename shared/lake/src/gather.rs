//! Runs independent requests to the bucket side by side, a bounded number at a time.

use std::future::Future;

use tokio::task::JoinSet;

use crate::error::LakeError;

/// The results of `jobs` in their order, at most `limit` of them under way at once.
///
/// # Errors
/// When a job panicked.
pub(crate) async fn gather<F>(
    limit: usize,
    jobs: impl IntoIterator<Item = F>,
) -> Result<Vec<F::Output>, LakeError>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut jobs: Vec<F> = jobs.into_iter().collect();
    // One job alone, the usual case, needs no task of its own.
    if jobs.len() == 1
        && let Some(job) = jobs.pop()
    {
        return Ok(vec![job.await]);
    }
    let mut results: Vec<Option<F::Output>> = jobs.iter().map(|_| None).collect();
    let mut waiting = jobs.into_iter().enumerate();
    let mut running = JoinSet::new();
    for (place, job) in waiting.by_ref().take(limit.max(1)) {
        running.spawn(async move { (place, job.await) });
    }
    while let Some(done) = running.join_next().await {
        let (place, result) = done?;
        results[place] = Some(result);
        if let Some((place, job)) = waiting.next() {
            running.spawn(async move { (place, job.await) });
        }
    }
    Ok(results.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::gather;

    #[tokio::test]
    async fn results_keep_their_order_and_the_bound_holds() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for count in [0usize, 1, 2, 3, 20] {
            let jobs = (0..count).map(|place| {
                let (running, most) = (running.clone(), most.clone());
                async move {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    place
                }
            });
            assert_eq!(gather(3, jobs).await.unwrap(), (0..count).collect::<Vec<_>>());
        }
        assert!(most.load(Ordering::SeqCst) <= 3);
    }
}
