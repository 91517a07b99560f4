//! The quick tests: one binary, one module a room.

mod forecast;
mod wire;
