//! What is answered before any method is: methods that do not exist, batches, malformed requests, answers that are too large.
//!
//! jsonrpsee has codes and words of its own for these. Clients know geth's (its package `rpc`), so that they become geth's here, in two
//! places: [`Words`] around each call and batch, on both transports; and [`HttpWords`] around HTTP, for what jsonrpsee says of a body
//! before it has found a call in it. A WebSocket message that is no call gets jsonrpsee's text ("Parse error") with the same code.

use crate::error::{INVALID_REQUEST, LIMIT_EXCEEDED, METHOD_NOT_FOUND, PARSE_ERROR};
use crate::server::Limits;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jsonrpsee::core::BoxError;
use jsonrpsee::core::server::BatchResponseBuilder;
use jsonrpsee::server::middleware::rpc::{
    Batch, BatchEntry, MethodResponse, Notification, Request, RpcServiceT,
};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse, http as transport};
use jsonrpsee::types::error::{
    INTERNAL_ERROR_CODE, OVERSIZED_RESPONSE_CODE, TOO_BIG_BATCH_REQUEST_CODE,
    TOO_MANY_SUBSCRIPTIONS_CODE,
};
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned, Id};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Geth's code for an answer that is too large.
const RESPONSE_TOO_LARGE: i32 = -32003;
/// Longest name of a method that is repeated in an answer, in bytes (geth's bound).
const MAX_METHOD_NAME: usize = 2_048;
/// Calls of a batch that jsonrpsee reads at all, in multiples of those that are served: so that a batch that is too long is told so in
/// geth's way, and one that is much too long takes no memory.
const READ_BATCHES: u32 = 16;
/// Answers up to this many bytes may be one of jsonrpsee's own errors.
const SMALL: u64 = 1_024;
/// Bodies up to this many bytes are kept until they are answered, to see whether what jsonrpsee cannot read was JSON at all.
const MAX_KEPT: usize = 64 << 10;

fn error(code: i32, message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObject::owned(code, message, None::<()>)
}

fn batch_too_large() -> ErrorObjectOwned {
    error(INVALID_REQUEST, "batch too large")
}

fn response_too_large() -> ErrorObjectOwned {
    error(RESPONSE_TOO_LARGE, "response too large")
}

fn invalid_request() -> ErrorObjectOwned {
    error(INVALID_REQUEST, "invalid request")
}

fn unknown_method(name: &str) -> ErrorObjectOwned {
    if name.len() > MAX_METHOD_NAME {
        let message = format!("method name too long: {}>{MAX_METHOD_NAME}", name.len());
        return error(INVALID_REQUEST, message);
    }
    error(METHOD_NOT_FOUND, format!("the method {name} does not exist/is not available"))
}

/// The bound on batches to give to jsonrpsee.
pub(crate) const fn read_batch(limits: &Limits) -> u32 {
    limits.max_batch.saturating_mul(READ_BATCHES)
}

/// Puts [`Envelope`] around the methods.
#[derive(Clone)]
pub(crate) struct Words {
    methods: Arc<HashSet<&'static str>>,
    max_batch: usize,
    max_response: usize,
    max_subscriptions: u32,
}

impl Words {
    pub(crate) fn new(methods: impl Iterator<Item = &'static str>, limits: &Limits) -> Self {
        Self {
            methods: Arc::new(methods.collect()),
            max_batch: limits.max_batch as usize,
            max_response: limits.max_response_body as usize,
            max_subscriptions: limits.max_subscriptions,
        }
    }
}

impl<S> Layer<S> for Words {
    type Service = Envelope<S>;

    fn layer(&self, inner: S) -> Envelope<S> {
        Envelope { inner, words: self.clone() }
    }
}

/// See [`Words`].
#[derive(Clone)]
pub(crate) struct Envelope<S> {
    inner: S,
    words: Words,
}

/// A service as jsonrpsee has them.
pub(crate) trait Methods:
    RpcServiceT<
        MethodResponse = MethodResponse,
        BatchResponse = MethodResponse,
        NotificationResponse = MethodResponse,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Methods for S where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

impl<S: Methods> Envelope<S> {
    async fn answer(&self, request: Request<'_>) -> MethodResponse {
        let (name, id) = (request.method_name(), request.id().clone());
        if !self.words.methods.contains(name) {
            return MethodResponse::error(id, unknown_method(name));
        }
        let subscribes = name == "eth_subscribe";
        let response = self.inner.call(request).await;
        let instead = match response.as_error_code() {
            Some(OVERSIZED_RESPONSE_CODE) => response_too_large(),
            Some(TOO_MANY_SUBSCRIPTIONS_CODE) => {
                let most = self.words.max_subscriptions;
                error(LIMIT_EXCEEDED, format!("too many subscriptions: the limit is {most}"))
            }
            // Only WebSocket has them.
            Some(INTERNAL_ERROR_CODE) if subscribes => {
                error(METHOD_NOT_FOUND, "notifications not supported")
            }
            _ => return response,
        };
        MethodResponse::error(id, instead)
    }

    /// Answers one call after the other. Once the answers are too large together, the calls that are left are not run.
    async fn answer_batch(&self, batch: Batch<'_>) -> MethodResponse {
        if batch.is_empty() {
            return MethodResponse::error(Id::Null, error(INVALID_REQUEST, "empty batch"));
        }
        if batch.len() > self.words.max_batch {
            return too_long(&batch);
        }
        let mut answers = BatchResponseBuilder::new_with_limit(usize::MAX);
        let (mut left, mut notified) = (self.words.max_response, false);
        for entry in batch {
            let response = match entry {
                Ok(BatchEntry::Call(request)) => self.answer_within(request, &mut left).await,
                Ok(BatchEntry::Notification(n)) => {
                    self.inner.notification(n).await;
                    notified = true;
                    continue;
                }
                Err(refused) => MethodResponse::error(refused.into_parts().1, invalid_request()),
            };
            if let Err(error) = answers.append(response) {
                return error;
            }
        }
        if answers.is_empty() && notified {
            return MethodResponse::notification();
        }
        MethodResponse::from_batch(answers.finish())
    }

    /// As [`Self::answer`], with an answer of at most `left` bytes, which are then fewer; none are left after one that did not fit.
    async fn answer_within(&self, request: Request<'_>, left: &mut usize) -> MethodResponse {
        let id = request.id().clone();
        if *left == 0 {
            return MethodResponse::error(id, response_too_large());
        }
        let response = self.answer(request).await;
        match left.checked_sub(response.as_ref().len()) {
            Some(rest) => {
                *left = rest;
                response
            }
            None => {
                *left = 0;
                MethodResponse::error(id, response_too_large())
            }
        }
    }
}

/// As geth: a batch of one error, with the id of the first call.
fn too_long(batch: &Batch<'_>) -> MethodResponse {
    let first = batch.iter().find_map(|entry| match entry {
        Ok(BatchEntry::Call(request)) => Some(request.id().clone()),
        _ => None,
    });
    let mut answers = BatchResponseBuilder::new_with_limit(usize::MAX);
    let response = MethodResponse::error(first.unwrap_or(Id::Null), batch_too_large());
    match answers.append(response) {
        Ok(()) => MethodResponse::from_batch(answers.finish()),
        Err(error) => error,
    }
}

impl<S: Methods> RpcServiceT for Envelope<S> {
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move { this.answer(request).await }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move { this.answer_batch(batch).await }
    }

    fn notification<'a>(
        &self,
        n: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(n)
    }
}

/// Puts [`HttpEnvelope`] around JSON-RPC over HTTP.
#[derive(Clone)]
pub(crate) struct HttpWords {
    /// Bytes of a request body.
    pub(crate) max_request: u32,
}

impl<S> Layer<S> for HttpWords {
    type Service = HttpEnvelope<S>;

    fn layer(&self, inner: S) -> HttpEnvelope<S> {
        HttpEnvelope { inner, max_request: self.max_request }
    }
}

/// See [`HttpWords`].
#[derive(Clone)]
pub(crate) struct HttpEnvelope<S> {
    inner: S,
    max_request: u32,
}

/// The whole body without leading space, or the answer to one that cannot be read.
async fn read<B>(headers: &HeaderMap, body: B, most: u32) -> Result<Bytes, HttpResponse>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > u64::from(most)) {
        return Err(transport::response::too_large(most));
    }
    let body = Limited::new(body, most as usize).collect().await;
    let mut body = body.map(|whole| whole.to_bytes()).map_err(|e| {
        if e.is::<LengthLimitError>() {
            transport::response::too_large(most)
        } else {
            transport::response::malformed()
        }
    })?;
    let space = body.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let body = body.split_off(space);
    match body.first() {
        Some(b'{' | b'[') => Ok(body),
        _ => Err(no_object(&body)),
    }
}

/// What a body is that holds no call.
fn no_call(body: &[u8]) -> ErrorObjectOwned {
    match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) => invalid_request(),
        Err(_) => error(PARSE_ERROR, "parse error"),
    }
}

/// The answer to a body that is neither an object nor an array.
fn no_object(body: &[u8]) -> HttpResponse {
    transport::response::from_method_response(MethodResponse::error(Id::Null, no_call(body)))
}

/// An error as jsonrpsee answers it.
#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    error: Reason<'a>,
}

#[derive(Deserialize)]
struct Reason<'a> {
    code: i32,
    #[serde(borrow)]
    message: &'a RawValue,
}

/// Geth's answer in place of one that jsonrpsee gives to a body without a call. `None` leaves the answer as it is.
fn reworded(answer: &[u8], request: &[u8]) -> Option<MethodResponse> {
    let is_error = answer.windows(9).any(|part| part == b"\"error\":{");
    let refusal = is_error.then(|| serde_json::from_slice::<Refusal<'_>>(answer).ok())??;
    let instead = match (refusal.error.code, refusal.error.message.get()) {
        (PARSE_ERROR, "\"Parse error\"") => no_call(request),
        (INVALID_REQUEST, "\"Invalid request\"") => invalid_request(),
        (TOO_BIG_BATCH_REQUEST_CODE, _) => batch_too_large(),
        _ => return None,
    };
    Some(MethodResponse::error(refusal.id, instead))
}

async fn reword(response: HttpResponse, request: &[u8]) -> Result<HttpResponse, BoxError> {
    use http_body::Body as _;
    if response.body().size_hint().upper().is_none_or(|size| size > SMALL) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    if let Some(instead) = reworded(&body, request) {
        return Ok(transport::response::from_method_response(instead));
    }
    Ok(HttpResponse::from_parts(parts, HttpBody::from(Vec::from(body))))
}

impl<S, B> Service<HttpRequest<B>> for HttpEnvelope<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        if request.method() != Method::POST || !transport::content_type_is_json(&request) {
            return Box::pin(self.inner.call(request.map(HttpBody::new)));
        }
        // The clone has not been asked whether it is ready; the one that has is used.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let most = self.max_request;
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match read(&parts.headers, body, most).await {
                Ok(body) => body,
                Err(answer) => return Ok(answer),
            };
            let kept = if body.len() <= MAX_KEPT { body.clone() } else { Bytes::new() };
            let body = HttpBody::new(http_body_util::Full::new(body));
            reword(inner.call(HttpRequest::from_parts(parts, body)).await?, &kept).await
        })
    }
}
