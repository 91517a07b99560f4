//! The quick tests: one binary, one module a room.

mod area;
mod datum;
mod devices;
mod drawn;
mod forecast;
mod guide;
mod matching;
mod network;
mod osm;
mod recorded_formats;
mod replay;
mod roadside;
mod state;
mod wire;
