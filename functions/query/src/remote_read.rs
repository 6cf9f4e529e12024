//! `/api/v1/read`: Prometheus remote read, so that a Prometheus can ask Weir for what it does not hold
//! itself. Delta series and sets of unique members have no form there and are left out.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use tokio::sync::OwnedSemaphorePermit;
use weir_formats::remote_read::{self, QueryResult, Request, ResponseType};
use weir_formats::{Limits, encoding};
use weir_lake::{LakeSelection, Selection};
use weir_model::{Labels, Samples, Temporality, TenantId};

use crate::error::ApiError;
use crate::router::Query;

/// Most bytes of an answer that is not streamed, before compression.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// Frames that may wait for a slow reader.
const FRAMES_AHEAD: usize = 4;
/// How long a stream waits for its reader to take a frame.
const MAX_FRAME_WAIT: Duration = Duration::from_secs(30);

pub(crate) async fn answer(query: &Query, tenant: TenantId, body: Body) -> Result<Response, ApiError> {
    let options = &query.0.options;
    let limit = options.max_form_bytes;
    let body = axum::body::to_bytes(body, limit)
        .await
        .map_err(|_| ApiError::bad_data(format!("the body has more than {limit} bytes, or ended early")))?;
    let bounds = Limits { compressed_bytes: limit, body_bytes: 4 * limit, ..Limits::default() };
    let plain = encoding::decompress(&body, "snappy", &bounds)
        .map_err(|error| ApiError::bad_data(error.to_string()))?;
    let request = remote_read::parse(&plain).map_err(|error| ApiError::bad_data(error.to_string()))?;
    let deadline = Instant::now() + options.timeout;
    let turn = tokio::time::timeout_at(deadline.into(), query.0.turns.clone().acquire_owned());
    let Ok(Ok(turn)) = turn.await else {
        return Err(ApiError::timeout("the read timed out in the query queue"));
    };
    let response = request.response;
    let selections = tokio::time::timeout_at(deadline.into(), select(query, &tenant, request))
        .await
        .map_err(|_| ApiError::timeout("the read timed out while series were selected"))??;
    match response {
        ResponseType::Samples => {
            let work = {
                let (query, turn) = (query.clone(), turn);
                move || (samples(&query, &selections, deadline), turn)
            };
            let (packed, _turn) = tokio::task::spawn_blocking(work).await.map_err(|error| {
                tracing::error!(%error, "a read's thread ended early");
                ApiError::internal("the samples could not be read; see the log")
            })?;
            let headers =
                [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
            Ok((headers, packed?).into_response())
        }
        ResponseType::StreamedChunks => {
            let (sender, channel) = Channel::<Bytes, StreamBroken>::new(FRAMES_AHEAD);
            let (query, runtime) = (query.clone(), tokio::runtime::Handle::current());
            tokio::task::spawn_blocking(move || stream(&query, &selections, &runtime, sender, turn));
            let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
            Ok(([(header::CONTENT_TYPE, kind)], Body::new(channel)).into_response())
        }
    }
}

async fn select(query: &Query, tenant: &TenantId, request: Request) -> Result<Vec<LakeSelection>, ApiError> {
    let mut selections = Vec::with_capacity(request.queries.len());
    for asked in request.queries {
        let selection = Selection {
            matchers: asked.matchers,
            start_ms: asked.start_ms,
            end_ms: asked.end_ms,
            max_series: query.0.options.max_series,
            bypass_cache: false,
        };
        selections.push(query.0.lake.select(tenant, &selection).await?);
    }
    Ok(selections)
}

/// Hands over the series of a selection that have something to tell, in Prometheus' order of labels, which
/// it relies on when it merges what several have told it.
fn each_series(
    selection: &LakeSelection,
    mut visit: impl FnMut(&Labels, &Samples) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let series = selection.series();
    let mut order: Vec<usize> =
        (0..series.len()).filter(|at| series[*at].temporality != Temporality::Delta).collect();
    order.sort_by(|a, b| series[*a].labels.iter().cmp(series[*b].labels.iter()));
    let mut reader = selection.reader();
    let mut samples = Samples::default();
    for index in order {
        reader.read(index, &mut samples)?;
        if !samples.timestamps.is_empty() || !samples.histograms.is_empty() {
            visit(&series[index].labels, &samples)?;
        }
    }
    Ok(())
}

/// All samples of all queries as one compressed message.
fn samples(query: &Query, selections: &[LakeSelection], deadline: Instant) -> Result<Vec<u8>, ApiError> {
    let most = query.0.options.max_samples;
    let mut read = 0;
    let mut answer = remote_read::Samples::default();
    let mut bytes = 0;
    for selection in selections {
        let mut result = QueryResult::default();
        each_series(selection, |labels, samples| {
            read += samples.timestamps.len() + samples.histograms.len();
            if read > most {
                return Err(ApiError::bad_data(format!("exceeded sample limit ({most})")));
            }
            if bytes + result.len() > MAX_ANSWER_BYTES {
                return Err(ApiError::bad_data(format!(
                    "the answer has more than {MAX_ANSWER_BYTES} bytes: read a shorter range, or take streamed chunks"
                )));
            }
            if Instant::now() > deadline {
                return Err(ApiError::timeout("the read timed out"));
            }
            result.series(labels.borrowed(), samples);
            Ok(())
        })?;
        bytes += result.len();
        answer.result(&result);
    }
    query.0.count_samples(read);
    answer.finish().map_err(|error| ApiError::bad_data(error.to_string()))
}

/// Why a stream ends before its end.
#[derive(Debug, thiserror::Error)]
#[error("the samples could not be read; see the log")]
struct StreamBroken;

fn stream(
    query: &Query,
    selections: &[LakeSelection],
    runtime: &tokio::runtime::Handle,
    mut sender: Sender<Bytes, StreamBroken>,
    _turn: OwnedSemaphorePermit,
) {
    let mut read = 0;
    for (place, selection) in selections.iter().enumerate() {
        let mut gone = false;
        let done = each_series(selection, |labels, samples| {
            read += samples.timestamps.len() + samples.histograms.len();
            for frame in remote_read::frames(place, labels.borrowed(), samples) {
                // The timer of a timeout has to be made within the runtime.
                let sent =
                    async { tokio::time::timeout(MAX_FRAME_WAIT, sender.send_data(frame.into())).await };
                if !matches!(runtime.block_on(sent), Ok(Ok(()))) {
                    gone = true;
                    return Err(ApiError::timeout("the reader is gone"));
                }
            }
            Ok(())
        });
        match done {
            Ok(()) => {}
            Err(_) if gone => break,
            Err(_) => return sender.abort(StreamBroken),
        }
    }
    query.0.count_samples(read);
}
