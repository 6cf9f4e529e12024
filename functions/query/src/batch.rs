//! Several queries in one request, each answered as if it had come alone: the module specification's
//! batch query.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use weir_model::TenantId;

use crate::error::ApiError;
use crate::evaluate;
use crate::params::Params;
use crate::router::{Asked, Query, json_response};

/// Most queries of one request.
const MAX_QUERIES: usize = 100;
/// Most bytes of all answers of one request together.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A JSON list of queries, or an object with one as `queries`. A query is an expression, or an object with
/// `query` and the parameters of an instant query or, when it has `start`, of a range query.
pub(crate) async fn answer(query: &Query, tenant: TenantId, body: Body) -> Result<Response, ApiError> {
    let limit = query.0.options.max_form_bytes;
    let body = axum::body::to_bytes(body, limit)
        .await
        .map_err(|_| ApiError::bad_data(format!("the body has more than {limit} bytes, or ended early")))?;
    let questions = read(&body)?;
    let mut out = b"{\"status\":\"success\",\"data\":[".to_vec();
    // One after another: the queries of a batch share one client's turn.
    for (index, params) in questions.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let asked = Asked { tenant: tenant.clone(), params };
        out.extend_from_slice(&one(query, &asked).await?);
        if out.len() > MAX_ANSWER_BYTES {
            return Err(ApiError::execution(format!(
                "the answers to the first {} queries have more than {MAX_ANSWER_BYTES} bytes; ask for fewer at once",
                index + 1
            )));
        }
    }
    out.extend_from_slice(b"]}");
    Ok(json_response(out))
}

async fn one(query: &Query, asked: &Asked) -> Result<Bytes, ApiError> {
    let done = if asked.params.get("start").is_some() {
        evaluate::range(query, asked).await
    } else {
        evaluate::instant(query, asked).await
    };
    let response = done.unwrap_or_else(IntoResponse::into_response);
    axum::body::to_bytes(response.into_body(), MAX_ANSWER_BYTES).await.map_err(|_| {
        ApiError::execution(format!(
            "the answer to a query has more than {MAX_ANSWER_BYTES} bytes; ask for it alone"
        ))
    })
}

/// The parameters of each query; what is wrong with one fails the request before any is evaluated.
fn read(body: &[u8]) -> Result<Vec<Params>, ApiError> {
    let parsed: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_data(format!("the body is not JSON: {error}")))?;
    let queries = parsed.get("queries").unwrap_or(&parsed);
    let Some(queries) = queries.as_array() else {
        let expected = "the body must be a list of queries, or an object with one as \"queries\"";
        return Err(ApiError::bad_data(expected));
    };
    if queries.len() > MAX_QUERIES {
        return Err(ApiError::bad_data(format!("{} queries given, at most {MAX_QUERIES}", queries.len())));
    }
    queries.iter().enumerate().map(|(place, query)| question(place, query)).collect()
}

fn question(place: usize, query: &Value) -> Result<Params, ApiError> {
    if let Some(text) = query.as_str() {
        return Ok(Params::of(vec![("query".to_owned(), text.to_owned())]));
    }
    let Some(fields) = query.as_object() else {
        return Err(ApiError::bad_data(format!("query {place} is neither a text nor an object")));
    };
    let field = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok(Some((name.clone(), text.clone()))),
        Value::Number(number) => Ok(Some((name.clone(), number.to_string()))),
        Value::Bool(flag) => Ok(Some((name.clone(), flag.to_string()))),
        Value::Null => Ok(None),
        _ => Err(ApiError::bad_data(format!("query {place}: {name:?} is neither a text nor a number"))),
    };
    let pairs: Vec<_> = fields.iter().map(field).filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(Params::of(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_texts_or_objects_in_a_list_or_under_a_name() {
        for body in
            [r#"["up", {"query": "up", "time": 7}]"#, r#"{"queries": ["up", {"query": "up", "time": "7"}]}"#]
        {
            let read = read(body.as_bytes()).unwrap();
            assert_eq!(read.len(), 2);
            assert_eq!(read[0].get("query"), Some("up"));
            assert_eq!(read[1].time("time").unwrap(), Some(7_000));
        }
        let many = serde_json::to_string(&vec!["up"; MAX_QUERIES + 1]).unwrap();
        for bad in ["", "7", "{}", "[7]", r#"[{"query": ["up"]}]"#, &many] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
