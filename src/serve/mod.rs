//! HTTP: the API, the live map page, metrics and health.
