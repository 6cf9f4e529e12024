//! A query stops when its client goes away, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir_lake::{Lake, LakeOptions};
use weir_platform::{MemoryBucket, SystemClock, Telemetry};
use weir_query::{Query, QueryOptions, router};

/// Minutes of work: eleven thousand windows of two and a half million points each.
const ENDLESS: &str =
    "/api/v1/query_range?query=stddev_over_time(vector(time())%5B29d:1s%5D)&start=0&end=10999&step=1";

/// A server that evaluates one query at a time.
async fn serve() -> SocketAddr {
    let clock = Arc::new(SystemClock);
    let lake =
        Lake::open(Arc::new(MemoryBucket::new()), clock.clone(), LakeOptions::default()).await.unwrap();
    let options =
        QueryOptions { max_concurrent: 1, timeout: Duration::from_secs(3_600), ..QueryOptions::default() };
    let query = Query::new(lake, clock, Arc::new(Telemetry::default()), options);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router(query)).await });
    address
}

async fn send(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Status and body of an instant query that waits so long for its turn.
async fn ask(address: SocketAddr, timeout: &str) -> String {
    let mut stream = send(address, &format!("/api/v1/query?query=1&timeout={timeout}")).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_ends_when_its_client_goes_away() {
    let address = serve().await;
    let client = send(address, ENDLESS).await;
    // It has its turn as soon as others wait for theirs in vain.
    loop {
        let answer = ask(address, "50ms").await;
        if answer.starts_with("HTTP/1.1 503") {
            assert!(answer.contains("query timed out in query queue"), "{answer}");
            break;
        }
    }
    drop(client);
    // Would it go on, it would keep its turn for longer than this waits.
    let answer = ask(address, "60s").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
