//! The engine: composition of decoding, matching, state, forecast and guidance, without a clock.
