//! The pages' own files, part of the binary.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

macro_rules! files {
    ($($path:literal, $kind:expr;)*) => {
        &[$(($path, $kind, include_bytes!(concat!("../../assets/", $path)))),*]
    };
}

const FILES: &[(&str, &str, &[u8])] = files! {
    "theme.js", JS;
    "app.js", JS;
    "dom.js", JS;
    "format.js", JS;
    "api.js", JS;
    "parts.js", JS;
    "home.js", JS;
    "lists.js", JS;
    "details.js", JS;
    "accounts.js", JS;
    "bridge.js", JS;
    "portal.js", JS;
    "wallet.js", JS;
    "style.css", CSS;
    "icon.svg", "image/svg+xml";
};

const INDEX: &[u8] = include_bytes!("../../assets/index.html");

/// A file by its name; any other path is a page of the application, which reads the path itself.
pub(super) async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if let Some(name) = path.strip_prefix("assets/") {
        return match FILES.iter().find(|(n, ..)| *n == name) {
            Some((_, kind, body)) => file(kind, body, &headers),
            None => (StatusCode::NOT_FOUND, "no such file").into_response(),
        };
    }
    file("text/html; charset=utf-8", INDEX, &headers)
}

/// Checked by the browser each time (`no-cache`), sent only when it changed.
fn file(kind: &'static str, body: &'static [u8], headers: &HeaderMap) -> Response {
    let tag = format!("\"{:x}\"", alloy_primitives::keccak256(body));
    let same = headers.get(IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == tag.as_bytes());
    let mut response =
        if same { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy forbids inline code and foreign hosts, so a page that has them is broken; and text must only ever be set as text.
    #[test]
    fn assets_obey_the_security_policy() {
        let index = std::str::from_utf8(INDEX).unwrap();
        for line in index.lines() {
            assert!(!line.contains("<script>") && !line.contains("style=\""), "inline: {line}");
            assert!(!line.contains(" onclick") && !line.contains("javascript:"), "inline: {line}");
        }
        for (name, _, body) in FILES {
            let text = std::str::from_utf8(body).unwrap();
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
            ] {
                assert!(!text.contains(forbidden), "{name} uses {forbidden}");
            }
            for (number, line) in text.lines().enumerate() {
                let foreign = line.contains("https://") || line.contains("http://");
                assert!(!foreign || line.contains("www.w3.org"), "{name}:{} {line}", number + 1);
            }
        }
        assert!(!index.contains("https://") && !index.contains("//cdn"));
    }

    #[test]
    fn every_import_and_link_is_among_the_files() {
        let names: Vec<&str> = FILES.iter().map(|(n, ..)| *n).collect();
        let all = FILES.iter().map(|(_, _, b)| *b).chain([INDEX]);
        for text in all.map(|b| std::str::from_utf8(b).unwrap()) {
            for piece in text.split("from \"./").skip(1).chain(text.split("/assets/").skip(1)) {
                let name: String =
                    piece.chars().take_while(|c| c.is_alphanumeric() || *c == '.').collect();
                assert!(names.contains(&name.as_str()), "{name}");
            }
        }
    }
}
