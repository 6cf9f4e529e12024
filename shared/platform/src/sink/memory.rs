//! A sink that keeps what it is given, for tests.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Point, Sink, SinkError};

/// Keeps points in memory.
#[derive(Debug)]
pub struct MemorySink {
    name: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sent: Vec<Point>,
    /// Metrics that are not taken at the moment.
    away: Vec<String>,
}

impl MemorySink {
    /// A sink of that name.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, state: Mutex::default() }
    }

    /// What was sent so far, repetitions included, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Point> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).sent.clone()
    }

    /// From now on, these metrics are not taken and all others are.
    pub fn refuse(&self, metrics: &[&str]) {
        let away = metrics.iter().map(|name| (*name).to_owned()).collect();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).away = away;
    }
}

#[async_trait]
impl Sink for MemorySink {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn send(&self, points: &[Point]) -> Vec<Result<(), SinkError>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = |point: &Point| {
            point.check()?;
            if state.away.contains(&point.metric) {
                let reason = "it is away".to_owned();
                return Err(SinkError::Unavailable { metric: point.metric.clone(), reason });
            }
            state.sent.push(point.clone());
            Ok(())
        };
        points.iter().map(keep).collect()
    }
}
