//! Configuration: layers of raw TOML resolved into the settings of the rooms.
