//! A response body encoded once: plain and gzip, with its entity tag.

use std::io::Write as _;
use std::sync::OnceLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Bodies shorter than this are not worth compressing, bytes (about one network packet).
const GZIP_MIN_BYTES: usize = 1_400;

/// The bytes of a body.
#[derive(Clone, Debug)]
pub(super) struct Body {
    plain: Bytes,
    gzip: Option<Bytes>,
    etag: String,
}

impl Body {
    /// Compresses `plain` where that pays. `etag` has its quotes.
    pub(super) fn new(plain: Bytes, etag: String) -> Self {
        let gzip = (plain.len() >= GZIP_MIN_BYTES).then(|| {
            let mut encoder =
                GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
            encoder
                .write_all(&plain)
                .expect("writing to a vector cannot fail");
            encoder
                .finish()
                .expect("writing to a vector cannot fail")
                .into()
        });
        Self { plain, gzip, etag }
    }

    /// Answers a request: 304 where the client has it already, gzip where it may.
    pub(super) fn respond(&self, request: &HeaderMap, content_type: &'static str) -> Response {
        let etag = HeaderValue::from_str(&self.etag)
            .expect("entity tags are made of digits, letters and hyphens");
        let common: [(HeaderName, HeaderValue); 3] = [
            (header::ETAG, etag),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
        ];
        if names(request, &header::IF_NONE_MATCH, &self.etag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        match &self.gzip {
            Some(gzip) if names(request, &header::ACCEPT_ENCODING, "gzip") => (
                common,
                [
                    content_type,
                    (header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
                ],
                gzip.clone(),
            )
                .into_response(),
            _ => (common, [content_type], self.plain.clone()).into_response(),
        }
    }
}

/// Whether a comma-separated request header names `item`, and not with `;q=0`.
fn names(request: &HeaderMap, header: &HeaderName, item: &str) -> bool {
    request
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|entry| {
            let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
            name.trim().trim_start_matches("W/") == item
                && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
}

/// A body that is made when first asked for and kept as long as its view.
#[derive(Debug, Default)]
pub(super) struct LazyBody(OnceLock<Body>);

impl LazyBody {
    /// The body if it was made already.
    pub(super) fn get(&self) -> Option<&Body> {
        self.0.get()
    }

    /// The body, made now if need be; others who ask meanwhile wait for it.
    pub(super) fn get_or_make(&self, make: impl FnOnce() -> Body) -> &Body {
        self.0.get_or_init(make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn compresses_only_for_those_who_accept_it() {
        let body = Body::new(Bytes::from(vec![b'1'; 5_000]), "\"1-1\"".into());
        let encoding = |pairs: &[(HeaderName, &'static str)]| {
            body.respond(&request(pairs), "application/json")
                .headers()
                .contains_key(header::CONTENT_ENCODING)
        };
        assert!(encoding(&[(header::ACCEPT_ENCODING, "br, gzip;q=0.8")]));
        assert!(!encoding(&[(header::ACCEPT_ENCODING, "gzip;q=0")]));
        assert!(!encoding(&[]));
    }

    #[test]
    fn answers_304_for_the_same_entity() {
        let body = Body::new(Bytes::from_static(b"{}"), "\"1-1\"".into());
        let status = |tag| {
            body.respond(
                &request(&[(header::IF_NONE_MATCH, tag)]),
                "application/json",
            )
            .status()
        };
        assert_eq!(status("\"0-0\", W/\"1-1\""), StatusCode::NOT_MODIFIED);
        assert_eq!(status("\"2-1\""), StatusCode::OK);
    }
}
