//! Plain HTTP beside JSON-RPC on the same port: whatever a [`RestHandler`] answers to `GET`, and `GET /health` where none does.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Answer to a `GET`.
#[derive(Clone, Debug)]
pub struct RestReply {
    /// Status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

impl RestReply {
    /// A JSON answer.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self { status, content_type: "application/json", body: value.to_string().into_bytes() }
    }
}

/// Serves `GET` requests on the JSON-RPC port.
pub trait RestHandler: Send + Sync + 'static {
    /// The answer to `GET path?query`; `None` leaves it to the next handler. Runs on a network thread: be quick.
    fn get(&self, path: &str, query: Option<&str>) -> Option<RestReply>;
}

/// Puts the handlers before the JSON-RPC service.
#[derive(Clone)]
pub(crate) struct RestLayer(pub(crate) Arc<[Arc<dyn RestHandler>]>);

impl<S> Layer<S> for RestLayer {
    type Service = RestService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RestService { inner, handlers: Arc::clone(&self.0) }
    }
}

/// See [`RestLayer`].
#[derive(Clone)]
pub(crate) struct RestService<S> {
    inner: S,
    handlers: Arc<[Arc<dyn RestHandler>]>,
}

impl<S> RestService<S> {
    fn answer<B>(&self, request: &HttpRequest<B>) -> Option<RestReply> {
        let upgrade = request.headers().contains_key(http::header::UPGRADE);
        if request.method() != Method::GET || upgrade {
            return None;
        }
        let path = request.uri().path();
        let answer = self.handlers.iter().find_map(|h| h.get(path, request.uri().query()));
        let health = || RestReply::json(200, &serde_json::json!({ "status": "ok" }));
        answer.or_else(|| (path == "/health").then(health))
    }
}

fn response(reply: RestReply) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(reply.body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl<S, B> Service<HttpRequest<B>> for RestService<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse>,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        match self.answer(&request) {
            Some(reply) => Box::pin(std::future::ready(Ok(response(reply)))),
            None => Box::pin(self.inner.call(request)),
        }
    }
}
