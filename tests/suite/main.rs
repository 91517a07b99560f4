//! The quick tests: one binary, one module a room.

mod drawn;
mod forecast;
mod matching;
mod state;
mod wire;
