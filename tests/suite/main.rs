//! The quick tests: one binary, one module a room.

mod area;
mod drawn;
mod forecast;
mod guide;
mod matching;
mod network;
mod replay;
mod state;
mod wire;
