//! The live map page, embedded in the binary.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::body::{Body, LazyBody};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($name:literal, $content_type:expr) => {
        Asset {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("assets/", $name)),
            body: LazyBody::default(),
        }
    };
}

/// One embedded file.
pub(super) struct Asset {
    /// Path below `/assets/`.
    pub(super) name: &'static str,
    pub(super) content_type: &'static str,
    bytes: &'static [u8],
    body: LazyBody,
}

impl Asset {
    /// The file with a tag that changes with its bytes.
    pub(super) fn body(&self) -> &Body {
        self.body.get_or_make(|| {
            let hash = Sha256::digest(self.bytes);
            let etag = hash[..8]
                .iter()
                .fold(String::from("\""), |tag, byte| tag + &format!("{byte:02x}"))
                + "\"";
            Body::new(Bytes::from_static(self.bytes), etag)
        })
    }
}

/// The page itself, then what it loads.
pub(super) fn all() -> Vec<Asset> {
    vec![
        asset!("index.html", HTML),
        asset!("console.css", STYLE),
        asset!("console.js", SCRIPT),
        asset!("api.js", SCRIPT),
        asset!("colours.js", SCRIPT),
        asset!("dom.js", SCRIPT),
        asset!("incident.js", SCRIPT),
        asset!("incidentwords.js", SCRIPT),
        asset!("layers.js", SCRIPT),
        asset!("mapview.js", SCRIPT),
        asset!("panel.js", SCRIPT),
        asset!("popup.js", SCRIPT),
        asset!("scores.js", SCRIPT),
        asset!("roads.js", SCRIPT),
        asset!("spark.js", SCRIPT),
        asset!("text.js", SCRIPT),
        asset!("timeline.js", SCRIPT),
        asset!("icon.svg", SVG),
        asset!("vendor/maplibre-gl.mjs", SCRIPT),
        asset!("vendor/maplibre-gl-worker.mjs", SCRIPT),
        asset!("vendor/maplibre-gl.css", STYLE),
        asset!("vendor/LICENSE.txt", TEXT),
    ]
}
