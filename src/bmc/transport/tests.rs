use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use reqwest::header::HeaderValue;
use serde_json::Value;

use super::*;

/// Sends the next of `responses` for each request, and repeats the last one. Returns the address
/// and the requests that arrive.
async fn server(responses: Vec<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut next = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
            log.lock().unwrap().push(text);
            let response = &responses[next.min(responses.len() - 1)];
            next += 1;
            let _ = stream.write_all(response.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (base, requests)
}

/// Formats a response that ends its connection.
fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// Sends one request for `/a`. Returns the result and the requests that arrived.
fn send(
    method: Method,
    responses: Vec<String>,
) -> (Result<RedfishResponse, BmcError>, Vec<String>) {
    run(async {
        let (base, log) = server(responses).await;
        let progress = Arc::new(|_: &str, _: &str| {});
        let context = TaskContext::new("a", Duration::from_secs(20), false, progress);
        let transport = Transport::new(&base, None, Arc::new(context)).unwrap();
        let authorization = Authorization::Token(HeaderValue::from_static("t0ken"));
        let request = RedfishRequest {
            method,
            path: "/a",
            body: None,
            authorization: &authorization,
            if_match: Some("\"1\""),
            retry_if_busy: true,
        };
        let result = transport.send(&request).await;
        let requests = log.lock().unwrap().clone();
        (result, requests)
    })
}

#[test]
fn resource_is_read_with_its_etag_and_credentials() {
    let body = "{\"@odata.etag\": \"W/\\\"7\\\"\"}";
    let (result, requests) = send(Method::GET, vec![response("200 OK", "", body)]);
    let response = result.unwrap();
    assert_eq!(
        (response.status, response.etag.as_deref()),
        (200, Some("W/\"7\""))
    );
    let text = requests.join("").to_lowercase();
    for line in ["get /a http/1.1", "x-auth-token: t0ken", "if-match: \"1\""] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn redirects_stay_on_the_server_and_end() {
    let to = |location: &str| response("302 Found", &format!("Location: {location}\r\n"), "");
    let good = || response("200 OK", "", "{}");
    let (result, requests) = send(Method::GET, vec![to("/b"), to("c"), good()]);
    assert!(result.is_ok() && requests.len() == 3, "{requests:?}");
    for (responses, reason, count) in [
        (vec![to("/a")], "too many redirects", 4),
        (vec![to("http://127.0.0.1:1/b")], "another server", 1),
        (vec![to("https://127.0.0.1/b")], "another server", 1),
        (vec![response("302 Found", "", "")], "has no target", 1),
    ] {
        let (result, requests) = send(Method::GET, responses);
        let message = result.unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
        assert_eq!(requests.len(), count, "{message}");
    }
}

#[test]
fn response_has_a_size_limit_and_must_be_json() {
    let large = response("200 OK", "", &" ".repeat(MAX_BODY + 1));
    let (result, _) = send(Method::GET, vec![large]);
    assert!(
        matches!(result, Err(BmcError::TooLarge { .. })),
        "{result:?}"
    );
    for body in ["<html>", "{\"a\": ", "[1]", ""] {
        let (result, requests) = send(Method::GET, vec![response("200 OK", "", body)]);
        assert!(
            matches!(result, Err(BmcError::Malformed { .. })),
            "{body}: {result:?}"
        );
        assert_eq!(requests.len(), 1);
    }
    let (result, _) = send(Method::GET, vec![response("404 Not Found", "", "<html>")]);
    assert_eq!(result.unwrap().body, Value::String(String::new()));
}

#[test]
fn busy_response_is_retried_and_a_lost_response_to_a_post_is_not() {
    let busy = || response("503 Service Unavailable", "Retry-After: 0\r\n", "");
    let good = || response("200 OK", "", "{}");
    let (result, requests) = send(Method::POST, vec![busy(), busy(), good()]);
    assert_eq!((result.unwrap().status, requests.len()), (200, 3));
    let broken = String::new;
    let (result, requests) = send(Method::GET, vec![broken(), good()]);
    assert_eq!((result.unwrap().status, requests.len()), (200, 2));
    let (result, requests) = send(Method::POST, vec![broken(), good()]);
    assert!(
        matches!(result, Err(BmcError::Unreachable { .. })),
        "{result:?}"
    );
    assert_eq!(requests.len(), 1);
    let failing = response("500 Internal Server Error", "Retry-After: 0\r\n", "{}");
    let (result, requests) = send(Method::GET, vec![failing]);
    assert_eq!(
        (result.unwrap().status, requests.len()),
        (500, MAX_TRIES as usize)
    );
}
