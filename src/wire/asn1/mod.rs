//! ASN.1 message types, one module a dialect. Which dialect a unit speaks is configuration.

pub mod csae2019;
