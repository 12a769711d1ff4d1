use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers each request with the next of `answers`, the last of them for ever; returns the address
/// and the request lines that came.
async fn server(answers: Vec<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let lines = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&lines);
    tokio::spawn(async move {
        let mut next = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut octets = vec![0; 4096];
            let read = stream.read(&mut octets).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&octets[..read]).into_owned();
            noted.lock().unwrap().push(text);
            let answer = &answers[next.min(answers.len() - 1)];
            next += 1;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (base, lines)
}

/// Writes an answer that ends its connection.
fn says(status: &str, headers: &str, body: &str) -> String {
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

/// Sends one request for `/a`; returns what came of it and the requests that were seen.
fn sent(method: Method, answers: Vec<String>) -> (Result<Answer, BmcError>, Vec<String>) {
    run(async {
        let (base, lines) = server(answers).await;
        let watch = Arc::new(|_: &str, _: &str| {});
        let context = Context::new("a", Duration::from_secs(20), false, watch);
        let transport = Transport::new(&base, None, Arc::new(context)).unwrap();
        let authorization = Authorization::Token(HeaderValue::from_static("t0ken"));
        let request = Request {
            method,
            path: "/a",
            body: None,
            authorization: &authorization,
            if_match: Some("\"1\""),
            is_patient: true,
        };
        let answer = transport.send(&request).await;
        let seen = lines.lock().unwrap().clone();
        (answer, seen)
    })
}

#[test]
fn a_resource_is_read_with_its_tag_and_whose_request_it_is() {
    let body = "{\"@odata.etag\": \"W/\\\"7\\\"\"}";
    let (answer, seen) = sent(Method::GET, vec![says("200 OK", "", body)]);
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status, answer.etag.as_deref()),
        (200, Some("W/\"7\""))
    );
    let text = seen.join("").to_lowercase();
    for line in ["get /a http/1.1", "x-auth-token: t0ken", "if-match: \"1\""] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn redirects_stay_on_the_server_and_end() {
    let to = |place: &str| says("302 Found", &format!("Location: {place}\r\n"), "");
    let good = || says("200 OK", "", "{}");
    let (answer, seen) = sent(Method::GET, vec![to("/b"), to("c"), good()]);
    assert!(answer.is_ok() && seen.len() == 3, "{seen:?}");
    for (places, why, requests) in [
        (vec![to("/a")], "for ever", 4),
        (vec![to("http://127.0.0.1:1/b")], "another server", 1),
        (vec![to("https://127.0.0.1/b")], "another server", 1),
        (vec![says("302 Found", "", "")], "where to", 1),
    ] {
        let (answer, seen) = sent(Method::GET, places);
        let said = answer.unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
        assert_eq!(seen.len(), requests, "{said}");
    }
}

#[test]
fn an_answer_has_its_limit_and_must_be_json() {
    let large = says("200 OK", "", &" ".repeat(LARGEST + 1));
    let (answer, _) = sent(Method::GET, vec![large]);
    assert!(
        matches!(answer, Err(BmcError::TooLarge { .. })),
        "{answer:?}"
    );
    for body in ["<html>", "{\"a\": ", "[1]", ""] {
        let (answer, seen) = sent(Method::GET, vec![says("200 OK", "", body)]);
        assert!(
            matches!(answer, Err(BmcError::Malformed { .. })),
            "{body}: {answer:?}"
        );
        assert_eq!(seen.len(), 1);
    }
    let (answer, _) = sent(Method::GET, vec![says("404 Not Found", "", "<html>")]);
    assert_eq!(answer.unwrap().body, Value::String(String::new()));
}

#[test]
fn what_is_busy_is_asked_again_and_what_may_have_been_done_is_not() {
    let busy = || says("503 Service Unavailable", "Retry-After: 0\r\n", "");
    let good = || says("200 OK", "", "{}");
    let (answer, seen) = sent(Method::POST, vec![busy(), busy(), good()]);
    assert_eq!((answer.unwrap().status, seen.len()), (200, 3));
    let broken = String::new;
    let (answer, seen) = sent(Method::GET, vec![broken(), good()]);
    assert_eq!((answer.unwrap().status, seen.len()), (200, 2));
    let (answer, seen) = sent(Method::POST, vec![broken(), good()]);
    assert!(
        matches!(answer, Err(BmcError::Unreachable { .. })),
        "{answer:?}"
    );
    assert_eq!(seen.len(), 1);
    let failing = says("500 Internal Server Error", "Retry-After: 0\r\n", "{}");
    let (answer, seen) = sent(Method::GET, vec![failing]);
    assert_eq!((answer.unwrap().status, seen.len()), (500, TRIES as usize));
}
