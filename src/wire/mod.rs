//! Wire formats: bytes to messages to observations and back, one file a format.
