//! StatsD over UDP: datagrams gathered for a moment, then ingested as one body.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::UdpSocket;
use weir_ingest::{BodyForm, Dialect, Ingest};
use weir_model::TenantId;

use crate::stop::Stop;

/// How long datagrams gather: timers of one name become one distribution per gathering.
const GATHER: Duration = Duration::from_millis(100);
/// Gathered bytes that are ingested at once without waiting longer.
const GATHER_BYTES: usize = 256 * 1024;
/// Largest datagram; UDP allows no more.
const DATAGRAM_BYTES: usize = 65_535;

/// The listening socket.
pub(crate) struct StatsdListener {
    socket: UdpSocket,
    ingest: Ingest,
}

impl StatsdListener {
    /// Binds the address.
    pub(crate) async fn bind(address: SocketAddr, ingest: Ingest) -> Result<Self> {
        let socket = UdpSocket::bind(address).await.with_context(|| {
            format!("cannot listen for StatsD on udp://{address}; choose another --statsd-listen or use --no-statsd")
        })?;
        Ok(Self { socket, ingest })
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// Receives until told to stop, then ingests what has gathered.
    pub(crate) async fn run(self, mut stop: Stop) {
        let mut datagram = vec![0; DATAGRAM_BYTES];
        let mut lines: Vec<u8> = Vec::new();
        let mut flush = tokio::time::interval(GATHER);
        flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = self.socket.recv(&mut datagram) => match received {
                    Ok(len) => {
                        lines.extend_from_slice(&datagram[..len]);
                        if lines.last().is_some_and(|last| *last != b'\n') {
                            lines.push(b'\n');
                        }
                        if lines.len() < GATHER_BYTES {
                            continue;
                        }
                    }
                    Err(error) => tracing::warn!(%error, "a StatsD datagram was lost"),
                },
                _ = flush.tick() => {}
                () = stop.said() => return self.ingest(&mut lines).await,
            }
            self.ingest(&mut lines).await;
        }
    }

    async fn ingest(&self, lines: &mut Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        let parsed = self.ingest.parse(&TenantId::default(), Dialect::Statsd, BodyForm::default(), lines);
        lines.clear();
        let accepted = match parsed {
            Ok(parsed) => self.ingest.accept(&TenantId::default(), Dialect::Statsd, parsed, None).await,
            Err(error) => Err(error),
        };
        match accepted {
            Ok(outcome) => {
                if let Some(first) = outcome.rejections.first.first() {
                    tracing::warn!(rejected = outcome.rejections.total, %first, "StatsD lines were refused");
                }
            }
            Err(error) => tracing::warn!(%error, "StatsD lines were lost"),
        }
    }
}
