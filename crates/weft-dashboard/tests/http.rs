//! What a browser gets, over a real socket.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use weft_dashboard::{
    Answer, Board, Kind, Line, Prefix, Run, Secret, Source, State, Step, Task, Worker, serve,
};

struct Fixed;

impl Source for Fixed {
    fn state(&self) -> Answer<'_, State> {
        Box::pin(async {
            State {
                id: "Scheduler-1".into(),
                workers: vec![Worker { name: "w0".into(), nthreads: 2, ..Worker::default() }],
                prefixes: vec![Prefix { name: "inc".into(), memory: 3, ..Prefix::default() }],
                ..State::default()
            }
        })
    }

    fn task(&self, key: String) -> Answer<'_, Option<Task>> {
        Box::pin(async move {
            (key == "('x', 0, 1)" || key == "a/b").then(|| Task {
                key,
                state: "erred".into(),
                failure: Some("ValueError: no".into()),
                story: vec![Step { from: "processing".into(), to: "erred".into(), ..Step::default() }],
                ..Task::default()
            })
        })
    }
}

fn run(name: &str, start_ms: f64) -> Run {
    Run {
        worker: "w0".into(),
        thread: 0,
        name: name.into(),
        key: name.into(),
        kind: Kind::Compute,
        start_ms,
        stop_ms: start_ms + 1.0,
        count: 1,
        nbytes: 8,
    }
}

/// A server with something on its board; dropping the sender stops it.
async fn start() -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<std::io::Result<()>>, Board) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let board = Board::new();
    board.runs([run("a", 0.0), run("b", 10.0)]);
    board.line(Line { at_ms: 5.0, level: "warning", from: "w0".into(), text: "paused".into() });
    let server = tokio::spawn(serve(listener, Arc::new(Fixed), board.clone(), Secret::new("s"), stopped));
    (address, stop, server, board)
}

async fn ask(address: SocketAddr, target: &str, host: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn pages_and_answers() {
    let (address, stop, server, _) = start().await;
    let get = async |target: &str| ask(address, target, "localhost").await;
    for page in ["/status", "/app.js", "/draw.js", "/style.css"] {
        let (status, body) = get(page).await;
        assert!(status.contains("200") && body.len() > 500, "{page}: {status}");
        assert!(!body.contains("https://") && !body.contains("//cdn"), "{page} must work offline");
    }
    assert!(get("/").await.0.contains("307"));
    let state: serde_json::Value = serde_json::from_str(&get("/api/state").await.1).unwrap();
    assert_eq!(state["workers"][0]["name"], "w0");
    let runs: serde_json::Value = serde_json::from_str(&get("/api/runs?since=1").await.1).unwrap();
    assert_eq!((runs["runs"][0]["name"].as_str(), runs["next"].as_u64()), (Some("b"), Some(2)));
    let lines: serde_json::Value = serde_json::from_str(&get("/api/logs").await.1).unwrap();
    assert_eq!(lines[0]["text"], "paused");
    let task: serde_json::Value =
        serde_json::from_str(&get("/api/task/%28%27x%27%2C%200%2C%201%29").await.1).unwrap();
    assert_eq!((&task["state"], &task["story"][0]["to"]), (&"erred".into(), &"erred".into()));
    assert!(get("/api/task/a/b").await.0.contains("200"));
    let (status, body) = get("/api/task/nobody").await;
    assert!(status.contains("404") && body.contains("nobody"));
    assert!(get("/metrics").await.1.contains("weft_scheduler_tasks{state=\"memory\"} 3"));
    drop(stop);
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_name_that_is_not_ours_gets_health_only() {
    let (address, stop, server, _) = start().await;
    for target in ["/", "/status", "/api/state", "/events", "/metrics"] {
        assert!(ask(address, target, "evil.example").await.0.contains("403"), "{target}");
    }
    assert_eq!(ask(address, "/health", "evil.example").await.1, "ok");
    assert!(ask(address, "/api/state?token=s", "evil.example").await.0.contains("200"));
    drop(stop);
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn events_bring_what_is_new_and_end_with_the_server() {
    let (address, stop, server, board) = start().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut text = String::new();
    let mut bytes = [0; 4096];
    // The run that may still grow comes with the second message at the latest.
    while !text.contains("\"name\":\"b\"") {
        let n = stream.read(&mut bytes).await.unwrap();
        assert!(n > 0, "the stream ended: {text}");
        text += std::str::from_utf8(&bytes[..n]).unwrap();
    }
    assert!(text.contains("text/event-stream") && text.contains("\"paused\""));
    assert_eq!(text.matches("\"key\":\"a\"").count(), 1);
    board.runs([run("c", 20.0)]);
    while !text.contains("\"name\":\"c\"") {
        let n = stream.read(&mut bytes).await.unwrap();
        text += std::str::from_utf8(&bytes[..n]).unwrap();
    }
    assert_eq!(text.matches("\"key\":\"b\"").count(), 1);
    stop.send(true).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    server.await.unwrap().unwrap();
}
