//! Answers browsers.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, Path, Query, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Json, Redirect, Response, Sse};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use crate::access::{Secret, allowed};
use crate::board::Board;
use crate::metrics;
use crate::model::{Line, Run, State, Task};

/// A page is told what is new this often; the source is asked no more often than that.
const PERIOD: Duration = Duration::from_millis(200);
/// Runs in one message to a page that has fallen behind.
const RUNS_AT_ONCE: usize = 5_000;

/// What [`Source`] answers with.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Knows the present.
pub trait Source: Send + Sync + 'static {
    fn state(&self) -> Answer<'_, State>;
    /// `None` if there is no such task.
    fn task(&self, key: String) -> Answer<'_, Option<Task>>;
}

/// Answers what arrives at `listener` until `stop` changes or its sender is gone.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn Source>,
    board: Board,
    secret: Option<Secret>,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let desk = Arc::new(Desk { source, board, last: Mutex::new(None), stop: stop.clone() });
    let secret = Arc::new(secret);
    let app = router(desk).layer(middleware::from_fn(move |peer, request, next| {
        let secret = secret.clone();
        async move { guard(peer, request, next, secret.as_ref().as_ref()).await }
    }));
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            // An error is a sender that is gone, which says the same.
            let _ = stop.changed().await;
        })
        .await
}

async fn guard(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
    secret: Option<&Secret>,
) -> Response {
    if request.uri().path() == "/health" || allowed(peer, request.headers(), request.uri(), secret) {
        return next.run(request).await;
    }
    let text = "This dashboard answers on its own machine, or with the cluster's token: add ?token=… to the address.\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

/// What the handlers share.
struct Desk {
    source: Arc<dyn Source>,
    board: Board,
    /// The last answer, for all who ask within the period.
    last: Mutex<Option<(Instant, Arc<State>)>>,
    stop: watch::Receiver<bool>,
}

impl Desk {
    async fn state(&self) -> Arc<State> {
        let mut last = self.last.lock().await;
        if let Some((at, state)) = &*last
            && at.elapsed() < PERIOD
        {
            return state.clone();
        }
        let state = Arc::new(self.source.state().await);
        *last = Some((Instant::now(), state.clone()));
        state
    }

    /// What a page that has seen `cursor` has not seen.
    async fn news(&self, cursor: &mut Cursor) -> News {
        let quiet = cursor.runs_pending;
        let (runs, next_run) = self.board.runs_since(cursor.runs, RUNS_AT_ONCE, quiet);
        let (_, end) = self.board.runs_since(u64::MAX, 0, true);
        // The last run may grow; if nothing has come after it for a period, it is told as it is.
        cursor.runs_pending = !quiet && end > next_run;
        cursor.runs = next_run;
        let (lines, next_line) = self.board.lines_since(cursor.lines);
        cursor.lines = next_line;
        News { state: self.state().await, runs, lines }
    }
}

/// How much of the board a page has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    runs: u64,
    lines: u64,
    runs_pending: bool,
}

#[derive(Debug, Serialize)]
struct News {
    state: Arc<State>,
    runs: Vec<Run>,
    lines: Vec<Line>,
}

fn router(desk: Arc<Desk>) -> Router {
    let asset = |kind: &'static str, text: &'static str| {
        get(
            move || async move { ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text) },
        )
    };
    let at = |desk: &Arc<Desk>| desk.clone();
    let (d1, d2, d3, d4, d5, d6) = (at(&desk), at(&desk), at(&desk), at(&desk), at(&desk), at(&desk));
    Router::new()
        .route("/", get(|request: Request| async move { Redirect::temporary(&status_address(&request)) }))
        .route("/status", asset("text/html; charset=utf-8", include_str!("../page/status.html")))
        .route("/app.js", asset("text/javascript; charset=utf-8", include_str!("../page/app.js")))
        .route("/draw.js", asset("text/javascript; charset=utf-8", include_str!("../page/draw.js")))
        .route("/style.css", asset("text/css; charset=utf-8", include_str!("../page/style.css")))
        .route("/health", get(|| async { "ok" }))
        .route("/events", get(move || async move { events(d1) }))
        .route("/api/state", get(move || async move { Json((*d2.state().await).clone()) }))
        .route("/api/runs", get(move |since: Query<Since>| async move { Json(d3.runs(since.0)) }))
        .route("/api/logs", get(move || async move { Json(d4.board.lines_since(0).0) }))
        .route("/api/task/{*key}", get(move |key: Path<String>| async move { task(&d5, key.0).await }))
        .route(
            "/metrics",
            get(move || async move {
                let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
                (kind, metrics::text(&*d6.state().await))
            }),
        )
}

fn status_address(request: &Request) -> String {
    request.uri().query().map_or_else(|| "/status".to_owned(), |query| format!("/status?{query}"))
}

#[derive(Debug, Default, Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

#[derive(Debug, Serialize)]
struct Runs {
    runs: Vec<Run>,
    /// What to ask for next time.
    next: u64,
}

impl Desk {
    fn runs(&self, Since { since }: Since) -> Runs {
        let (runs, next) = self.board.runs_since(since, usize::MAX, true);
        Runs { runs, next }
    }
}

async fn task(desk: &Desk, key: String) -> Response {
    match desk.source.task(key.clone()).await {
        Some(task) => Json(task).into_response(),
        None => {
            let message = format!("no task {key:?}: it was never here, or it has been forgotten");
            (StatusCode::NOT_FOUND, Json(serde_json::json!({ "error": message }))).into_response()
        }
    }
}

/// What is new, each period, until the server stops or the page goes.
fn events(desk: Arc<Desk>) -> impl IntoResponse {
    let stream = stream::unfold((desk, Cursor::default(), true), |(desk, mut cursor, first)| async move {
        let mut stop = desk.stop.clone();
        if !first {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                _ = stop.changed() => return None,
            }
        }
        if *stop.borrow() {
            return None;
        }
        let news = desk.news(&mut cursor).await;
        let event = Event::default().json_data(&news).ok()?;
        Some((Ok::<_, Infallible>(event), (desk, cursor, false)))
    });
    keep_alive(stream)
}

fn keep_alive<S>(stream: S) -> impl IntoResponse
where
    S: Stream<Item = Result<Event, Infallible>> + Send + 'static,
{
    ([(header::CACHE_CONTROL, "no-store")], Sse::new(stream).keep_alive(KeepAlive::default()))
}
