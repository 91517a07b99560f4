//! The quick tests: one binary, one module a room.

mod archive;
mod area;
mod attacks;
mod datum;
mod devices;
mod drawn;
mod field;
mod forecast;
mod fuzz;
mod guide;
mod matching;
mod network;
mod osm;
mod radar;
mod recorded_formats;
mod replay;
mod restart;
mod roadside;
mod round_trips;
mod state;
mod wire;
